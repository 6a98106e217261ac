"""What a scaling tells: the plan in sentences, the networks in files."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.cost.network_cost import cost
from scaler.growth.scale_up import ScaleUp
from scaler.report.search_report import duration, proxy_line
from scaler.scaling.budget import format_count


def scale_lines(scale_up: ScaleUp) -> Iterator[str]:
    """The plan, in sentences, before the work starts."""
    work, base = scale_up.work, scale_up.native.base
    space, plan = work.space, work.plan
    yield f"Base        {base.name}, {base.resolution} px, {format_count(cost(base).flops)} FLOPs"
    for name, policy in scale_up.origin.policies.items():
        found = policy.native
        yield (
            f"Policy      {name}: alpha = {found.alpha:.3f}, beta = {found.beta:.3f}, "
            f"gamma = {found.gamma:.3f}"
        )
    yield f"Proxy       {proxy_line(scale_up.proxy, scale_up.native)}"
    images = space.recipe.images or work.data.sizes["train"]
    yield (
        f"Data        {work.data.name}: {images} training images, {space.recipe.epochs} epochs, "
        f"tested on {work.data.sizes['test']} held-out images"
    )
    for note in work.data.notes:
        yield f"            {note}"
    yield (
        f"Plan        {len(scale_up.networks)} networks x {space.seeds} seeds, {plan.images:,} images, "
        f"{format_count(plan.train_flops)} training FLOPs, about {duration(work.seconds)} on "
        f"{work.workers} worker{'s' if work.workers > 1 else ''}"
    )
