"""One look for all pictures: colours that the colour-blind tell apart, plain axes, labels beside lines."""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from scaler.scaling.budget import Budget

Format = Literal["png", "svg"]
FORMATS: tuple[Format, ...] = ("png", "svg")

INK = "#222222"
SOFT = "#6b6b6b"
FAINT = "#dddddd"
SHADE = "#f0f0f0"
#: Begins the id of what says its numbers when it is pointed at.
TIP = "tip-"
#: Okabe and Ito's palette, and a marker each, so that no policy is told by colour alone.
POLICY_STYLES = {
    "compound": ("#0072B2", "o"),
    "depth": ("#D55E00", "^"),
    "width": ("#009E73", "s"),
    "resolution": ("#CC79A7", "D"),
}
OTHER_STYLES = (("#E69F00", "v"), ("#56B4E9", "P"), ("#7F7F7F", "X"), ("#8C564B", "<"))

#: Inches; at 100 dots per inch this is the width at which a README shows a picture.
WIDTH = 9.0
SCREEN_DPI, PRINT_DPI = 100, 200
_CAPTION_LETTERS = 116


def style_of(policy: str, policies: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of a policy among those of a picture."""
    if policy in POLICY_STYLES:
        return POLICY_STYLES[policy]
    others = [name for name in policies if name not in POLICY_STYLES]
    return OTHER_STYLES[others.index(policy) % len(OTHER_STYLES)]


def titled(body: float, title: str, caption: str) -> tuple[Figure, float]:
    """A figure with a title and, under it, in small print, what the data are; below are ``body`` inches.

    Returns:
        The figure, and its height in inches.
    """
    lines = textwrap.wrap(caption, _CAPTION_LETTERS)
    height = body + _title_height(caption)
    figure = Figure(figsize=(WIDTH, height), dpi=SCREEN_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.02, 1 - 0.16 / height, title, fontsize=15, fontweight="bold", color=INK, va="top")
    figure.text(
        0.02, 1 - 0.5 / height, "\n".join(lines), fontsize=10.5, color=SOFT, va="top", linespacing=1.3
    )
    return figure, height


def _title_height(caption: str) -> float:
    return 0.68 + 0.2 * len(textwrap.wrap(caption, _CAPTION_LETTERS))


def new_figure(height: float, title: str, caption: str) -> tuple[Figure, Axes]:
    """A titled figure of ``height`` inches with axes that leave a margin on the right for labels of lines."""
    body = height - _title_height(caption)
    figure, _ = titled(body, title, caption)
    return figure, figure.add_axes((0.085, 0.68 / height, 0.74, (body - 0.68) / height))


def tip(axes: Axes, where: Iterable[float], words: str) -> None:
    """Let a point (in the axes' own coordinates) say its numbers in a page; in a picture it is not seen."""
    number = len(axes.collections)
    scatter: Any = axes.scatter  # of two coordinates, or of three in a triangle
    scatter(
        *([value] for value in where),
        s=220,
        alpha=0,
        color=SOFT,
        zorder=9,
        gid=f"{TIP}{quote(words)}~{number}",
    )


def plain(axes: Axes) -> None:
    """Two spines, a faint grid behind, readable ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(labelsize=11, colors=INK, length=4, color=SOFT)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def flops_axis(axes: Axes, low: float, high: float) -> None:
    """A log axis of FLOPs, ticked 10M, 20M, 50M; at every power of ten only, where it spans many."""
    axes.set_xscale("log")
    axes.set_xlim(low / (high / low) ** 0.06 / 1.02, high * (high / low) ** 0.06 * 1.02)
    subs = (1.0, 2.0, 5.0) if high / low < 2000 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: str(Budget(value, relative=False))))


@dataclass(frozen=True)
class Label:
    """A text beside the end of a line, at data coordinates ``x, y``."""

    text: str
    x: float
    y: float
    colour: str = INK
    bold: bool = False


def label_lines(axes: Axes, labels: Iterable[Label], size: float = 11) -> None:
    """Write labels in the right margin at the height of their lines, moved apart where they would overlap."""
    ordered = sorted(labels, key=lambda label: label.y)
    if not ordered:
        return
    low, high = axes.get_ylim()
    inches = axes.bbox.height / SCREEN_DPI
    heights = [(label.y - low) / (high - low) for label in ordered]
    for label, at in zip(ordered, moved_apart(heights, gap=1.35 * size / 72 / inches), strict=True):
        axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(1.035, at),
            textcoords=axes.transAxes,
            fontsize=size,
            color=label.colour,
            fontweight="bold" if label.bold else "normal",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.7,
                "alpha": 0.55,
                "shrinkA": 2,
                "shrinkB": 6,
                "relpos": (0, 0.5),
            },
        )


def moved_apart(values: Sequence[float], gap: float, highest: float = 1.0) -> list[float]:
    """Ascending positions at least ``gap`` apart and at most ``highest``, as near to ``values`` as can be.

    ``values`` ascend. Neighbours that are too close form a block around their mean; blocks that meet join.
    """
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([value])
        while len(blocks) > 1 and _top(blocks[-2], gap) + gap > _bottom(blocks[-1], gap):
            last = blocks.pop()
            blocks[-1].extend(last)
    free = [_bottom(block, gap) + gap * index for block in blocks for index in range(len(block))]
    return [
        min(at, highest - gap * above) for at, above in zip(free, range(len(free) - 1, -1, -1), strict=True)
    ]


def _bottom(block: Sequence[float], gap: float) -> float:
    return sum(block) / len(block) - gap * (len(block) - 1) / 2


def _top(block: Sequence[float], gap: float) -> float:
    return sum(block) / len(block) + gap * (len(block) - 1) / 2


@contextlib.contextmanager
def drawing(figure: Figure, salt: str, letters: Literal["path", "none"] = "path") -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn: ids from a salt, and its words as they are.

    Names of folders, classes and networks may hold dollars, which mean mathematics to matplotlib. ``letters``
    of an SVG are paths, or ``none``: text in a font of whoever shows it.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
    # Labels of ticks are made while drawing, and go by the setting.
    with matplotlib.rc_context({"text.parse_math": False, "svg.hashsalt": salt, "svg.fonttype": letters}):
        yield


def rendered(figure: Figure, form: Format, dpi: float = PRINT_DPI) -> bytes:
    """The picture's file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with drawing(figure, "scaler"):
        figure.savefig(buffer, format=form, dpi=dpi, metadata={"Date": None} if form == "svg" else None)
    return buffer.getvalue()
