"""Excitations by channel and class, as in figure 6 of Hu et al. (arXiv 1709.01507)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaler.inspect.excitation import BlockView, Excitations
from scaler.report.pictures.style import FAINT, INK, SOFT, WIDTH, titled

_COLUMNS, _LEFT, _SPACE = 4, 0.55, 0.28
_PANEL, _HEAD, _FOOT = 1.15, 0.34, 0.4
_CHANNELS = 50
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def draw_excitations(
    blocks: Sequence[Excitations],
    views: Sequence[BlockView],
    labels: NDArray[np.int64],
    shown: Mapping[str, int],
    caption: str,
    threshold: float,
) -> Figure:
    """A panel per block: the mean excitation of every channel, for some classes and over all.

    Args:
        blocks: excitations ``[N, channels]``.
        views: the same blocks in numbers.
        labels: class of each image.
        shown: labels of the classes that get a line, by name.
        caption: what the images are.
        threshold: variation below which a block is called near identity.
    """
    columns = min(_COLUMNS, len(blocks))
    rows = -(-len(blocks) // columns)
    top = 0.35 + rows * (_PANEL + _HEAD) + _FOOT
    figure, height = titled(top, "What the excitations do, block by block", caption)
    width = (WIDTH - _LEFT - 0.2 - _SPACE * (columns - 1)) / columns
    drawn = [_Lines.of(block, labels, shown) for block in blocks]
    limits = _limits(drawn)
    for index, (lines, view) in enumerate(zip(drawn, views, strict=True)):
        x = _LEFT + index % columns * (width + _SPACE)
        y = top - 0.35 - (index // columns + 1) * (_PANEL + _HEAD)
        axes = figure.add_axes((x / WIDTH, y / height, width / WIDTH, _PANEL / height))
        _panel(axes, lines, limits, labelled=index % columns == 0)
        near = view.near_identity(threshold)
        text = f"{name(view)}: varies {100 * view.variation:.1f} %, class {100 * view.class_share:.0f} %"
        axes.set_title(text, fontsize=8, color="#B23A00" if near else INK, loc="left", pad=3)
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        *handles, loc="upper left", bbox_to_anchor=(_LEFT / WIDTH - 0.01, (top + 0.02) / height), ncols=6,
        frameon=False, fontsize=9.5, labelcolor=INK,
    )  # fmt: skip
    below = f"channels of each block, from the least to the most excited; at most {_CHANNELS}, evenly spaced"
    figure.text(0.5, 0.14 / height, below, fontsize=10, color=SOFT, ha="center")
    return figure


def name(view: BlockView) -> str:
    """``stage.block`` as in the names of the network's modules."""
    return f"{view.place[0]}.{view.place[1]}"


def _shown_channels(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Channels by their mean, at most fifty of them, evenly spaced (fifty are in the paper's figure, too)."""
    order = values.mean(axis=0).argsort(kind="stable")
    places = np.linspace(0, len(order) - 1, min(_CHANNELS, len(order))).round().astype(int)
    chosen: NDArray[np.int64] = order[places]
    return chosen


@dataclass(frozen=True)
class _Lines:
    """What a panel shows of a block, by channel: means of some classes, and mean and deviation over all."""

    classes: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, block: Excitations, labels: NDArray[np.int64], shown: Mapping[str, int]) -> _Lines:
        values = block.values[:, _shown_channels(block.values)]
        there = {name: labels == label for name, label in shown.items()}
        means = {name: values[own].mean(axis=0) for name, own in there.items() if own.any()}
        return cls(means, values.mean(axis=0), values.std(axis=0))


def _limits(drawn: Sequence[_Lines]) -> tuple[float, float]:
    """One scale for all panels: what is used of 0 to 1, in steps of a tenth, and no less than a fifth."""
    low = min(float((lines.mean - lines.deviation).min()) for lines in drawn)
    high = max(float((lines.mean + lines.deviation).max()) for lines in drawn)
    middle = (low + high) / 2
    low, high = min(low, middle - 0.1), max(high, middle + 0.1)
    return max(0.0, math.floor(10 * low) / 10), min(1.0, math.ceil(10 * high) / 10)


def _panel(axes: Axes, lines: _Lines, limits: tuple[float, float], *, labelled: bool) -> None:
    channels = np.arange(len(lines.mean))
    above, below = lines.mean + lines.deviation, lines.mean - lines.deviation
    axes.fill_between(channels, below, above, color=FAINT, linewidth=0)
    axes.plot(channels, lines.mean, color=INK, linewidth=1.2, label="all ± deviation")
    for colour, (text, own) in zip(cycle(_COLOURS), lines.classes.items(), strict=False):
        axes.plot(channels, own, color=colour, linewidth=1, label=text)
    axes.set_ylim(*limits)
    axes.set_xlim(0, max(1, channels[-1]))
    axes.set_xticks([])
    ticks = [limits[0], sum(limits) / 2, limits[1]]
    axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks] if labelled else [])
    axes.tick_params(labelsize=8, colors=SOFT, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
