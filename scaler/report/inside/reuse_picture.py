"""The heat map of feature reuse, laid out as figure 5 of Huang et al. (arXiv 1608.06993)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from scaler.inspect.reuse import DenseBlock
from scaler.report.pictures.style import INK, SOFT, WIDTH, titled

_LEFT, _RIGHT, _SPACE, _BOTTOM = 0.62, 0.85, 0.45, 0.62


def draw_reuse(blocks: Sequence[DenseBlock], caption: str) -> Figure:
    """A panel per dense block: sources down, readers across, the transition or classifier last, boxed."""
    side = min(3.2, (WIDTH - _LEFT - _RIGHT - _SPACE * (len(blocks) - 1)) / len(blocks))
    figure, height = titled(0.35 + side + _BOTTOM, "Which layers are read again", caption)
    image = None
    for index, block in enumerate(blocks):
        x = _LEFT + index * (side + _SPACE)
        axes = figure.add_axes((x / WIDTH, _BOTTOM / height, side / WIDTH, side / height))
        image = _panel(axes, block)
        axes.set_title(f"Dense block {block.number}", fontsize=11, color=INK, pad=5)
        if index == 0:
            axes.set_ylabel("source (0: the block's input)", fontsize=10, color=INK)
    if image is not None:
        x = _LEFT + len(blocks) * (side + _SPACE) - _SPACE + 0.15
        bar = figure.colorbar(
            image, cax=figure.add_axes((x / WIDTH, _BOTTOM / height, 0.14 / WIDTH, side / height))
        )
        bar.ax.tick_params(labelsize=8.5, colors=SOFT)
        bar.outline.set_visible(False)
    return figure


def _panel(axes: Axes, block: DenseBlock) -> AxesImage:
    shown = block.relative.T
    readers = shown.shape[1]
    colours = colormaps["viridis"].with_extremes(bad="white")
    image = axes.imshow(np.ma.masked_invalid(shown), cmap=colours, vmin=0, vmax=1, aspect="auto")
    axes.add_patch(
        Rectangle((readers - 1.5, -0.5), 1, len(shown), fill=False, edgecolor="black", linewidth=1.6)
    )
    step = max(1, readers // 6)
    ticks = list(range(0, readers - 1, step))
    axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
    axes.set_yticks(range(0, len(shown), step))
    axes.set_xlabel(f"reading layer; last: {block.reader}", fontsize=10, color=INK)
    axes.tick_params(labelsize=8.5, colors=SOFT, length=2)
    axes.spines[:].set_visible(False)
    return image
