"""What a scaling tells: the plan in sentences, the networks in files."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.cost.closed_form import cost
from scaler.curves.scale_up import ScaleUp
from scaler.report.search_report import duration, proxy_line
from scaler.scaling.budget import format_count


def scale_lines(scale_up: ScaleUp) -> Iterator[str]:
    """The plan, in sentences, before the work starts."""
    problem, space, plan = scale_up.problem, scale_up.origin.space, scale_up.plan
    base = problem.native.base
    yield f"Base        {base.name}, {base.resolution} px, {format_count(cost(base).flops)} FLOPs"
    for policy in scale_up.policies:
        found = policy.native
        yield (
            f"Policy      {policy.name}: alpha = {found.alpha:.3f}, beta = {found.beta:.3f}, "
            f"gamma = {found.gamma:.3f}"
        )
    yield f"Proxy       {proxy_line(problem.proxy, problem.native)}"
    images = space.recipe.images or scale_up.data.sizes["train"]
    yield (
        f"Data        {scale_up.data.name}: {images} training images, {space.recipe.epochs} epochs, "
        f"tested on {scale_up.data.sizes['test']} held-out images"
    )
    for note in scale_up.data.notes:
        yield f"            {note}"
    yield (
        f"Plan        {len(scale_up.rungs)} networks x {space.seeds} seeds, {plan.images:,} images, "
        f"{format_count(plan.train_flops)} training FLOPs, about {duration(scale_up.seconds)} on "
        f"{scale_up.workers} worker{'s' if scale_up.workers > 1 else ''}"
    )
