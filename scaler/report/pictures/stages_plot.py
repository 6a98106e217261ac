"""Where a network's FLOPs are: stage by stage, the base and the grown one side by side."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from scaler.cost.profile import block_costs
from scaler.networks.spec import NetworkSpec
from scaler.report.pictures.style import INK, new_figure, plain, tip
from scaler.scaling.budget import format_count

#: Base light, grown dark: they differ in grey as well.
_COLOURS = ("#9ecae1", "#08519c", "#E69F00", "#7F7F7F")


def stage_flops(spec: NetworkSpec) -> dict[str, int]:
    """FLOPs of the stem, of every stage of the body, and of the head, in order.

    Raises:
        UserError: the network is the user's own code.
    """
    found: dict[str, int] = {}
    for block in block_costs(spec):
        part, *rest = block.name.split(".")
        name = f"stage {int(rest[0]) + 1}" if part == "stages" and rest[0].isdigit() else part
        found[name] = found.get(name, 0) + block.cost.flops
    return found


def draw_stages(networks: Mapping[str, NetworkSpec]) -> Figure:
    """Bars of each stage's part of the FLOPs, one colour for each network (by name, the base first)."""
    counts = {name: stage_flops(spec) for name, spec in networks.items()}
    stages = list(dict.fromkeys(stage for own in counts.values() for stage in own))
    totals = {name: sum(own.values()) for name, own in counts.items()}
    said = ", ".join(f"{name} {format_count(total)}" for name, total in totals.items())
    figure, axes = new_figure(
        4.8, "Where the FLOPs are", f"Each stage's part of the network's FLOPs: {said}."
    )
    plain(axes)
    width = 0.8 / len(counts)
    for place, (name, own) in enumerate(counts.items()):
        at = [index + (place - (len(counts) - 1) / 2) * width for index in range(len(stages))]
        parts = [100 * own.get(stage, 0) / totals[name] for stage in stages]
        axes.bar(at, parts, width=0.94 * width, color=_COLOURS[place % len(_COLOURS)], label=name)
        for x, stage, part in zip(at, stages, parts, strict=True):
            tip(axes, (x, part), f"{name}, {stage}: {format_count(own.get(stage, 0))} FLOPs, {part:.1f} %")
    axes.set_xticks(range(len(stages)), stages)
    axes.tick_params(axis="x", labelrotation=30 if len(stages) > 9 else 0)
    axes.set_ylabel("part of the FLOPs (%)", fontsize=11.5, color=INK)
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    axes.legend(
        loc="upper left", facecolor="white", edgecolor="none", framealpha=1, fontsize=11, labelcolor=INK
    )
    return figure
