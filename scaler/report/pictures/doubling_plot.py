"""What a doubling of FLOPs buys on each axis, at the base and further up."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from scaler.report.pictures.style import INK, SOFT, new_figure, plain, style_of, tip
from scaler.scaling.budget import format_factor
from scaler.search.inference.law_summary import AXES, LEVEL, Gain

#: Sizes that are named side by side; a small budget has many more on the way to the largest.
_MOST_NAMES = 5


def draw_doublings(gains: Sequence[Gain], base: str, caption: str) -> Figure:
    """Points of accuracy per doubling, with intervals; a group for each size along the chosen direction.

    Args:
        gains: of the law.
        base: the network's name.
        caption: what the accuracies are: data, proxy, seeds.
    """
    figure, axes = new_figure(4.8, f"What a doubling of {base}'s FLOPs buys", caption)
    plain(axes)
    sizes = list(dict.fromkeys(gain.size for gain in gains))
    axes.axhline(0, color=SOFT, linewidth=1.0)
    for place, axis in enumerate(AXES):
        own = [gain for gain in gains if gain.axis == axis]
        at = [sizes.index(gain.size) + 0.18 * (place - 1) for gain in own]
        colour, marker = style_of(axis, AXES)
        mean = [100 * gain.mean for gain in own]
        below = [100 * (gain.mean - gain.low) for gain in own]
        above = [100 * (gain.high - gain.mean) for gain in own]
        axes.errorbar(
            at, mean, yerr=[below, above], fmt=marker, color=colour, markersize=8, markeredgecolor="white",
            elinewidth=1.6, capsize=4, label=axis,
        )  # fmt: skip
        for x, gain in zip(at, own, strict=True):
            where = "at the base" if gain.size == sizes[0] else f"at {format_factor(gain.size)}"
            bounds = f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
            tip(axes, (x, 100 * gain.mean), f"{axis} {where}: {100 * gain.mean:+.1f} {bounds} points")
    step = -(-len(sizes) // _MOST_NAMES)
    axes.set_xticks(range(0, len(sizes), step), [_name(size) for size in sizes[::step]])
    axes.set_xlim(-0.6, len(sizes) - 0.4)
    axes.margins(y=0.12)
    axes.set_ylabel(f"points per doubling ({LEVEL:.0%} interval)", fontsize=11.5, color=INK)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=11, labelcolor=INK)
    return figure


def _name(size: float) -> str:
    """A size in few letters."""
    if size == 1:
        return "the base"
    return f"{format_factor(size)} the base" if size > 1 else f"1/{1 / size:.3g} of it"
