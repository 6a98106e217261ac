"""Class activation maps side by side, as in figure 7 of Tan & Le (2019), and what falls on the object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaler.inspect.focus import Focus, enlarged
from scaler.inspect.images import UNKNOWN, Images
from scaler.inspect.looks import Look
from scaler.report.pictures.style import INK, SOFT, WIDTH, new_figure, plain, style_of, titled

#: Pixels of a shown image at the least, inches between images, of text under one, and of a column's head.
_PIXELS, _GAP, _TEXT, _HEAD = 128, 0.08, 0.4, 0.56
_RIGHT, _WRONG = "#00734f", "#B23A00"
#: Inches of a letter under an image: a mean one, and some.
_LETTER = 0.074


def draw_maps(looks: Sequence[Look], images: Images, classes: Sequence[str], caption: str) -> Figure:
    """A row per image: the image, then the map of every network over it.

    Images are shown as the network of the highest resolution sees them: any other size would have to be made
    of the whole part of the data.

    Args:
        looks: of the networks, in the order of the columns.
        images: what they were shown.
        classes: names by label; empty for numbers.
        caption: what the maps are of.
    """
    columns = len(looks) + 1
    side = min(1.6, (WIDTH - 0.36 + _GAP) / columns - _GAP)
    row = side + _TEXT
    letters = int(side / _LETTER)
    top = _HEAD + 0.1 + row * len(images)
    figure, height = titled(top, "Where each network looks", caption)
    pixels = max(one.subject.resolution for one in looks)
    shown = images.at(pixels)
    # Small images are drawn in larger pixels, so that a map over one is not as coarse.
    for axis in (1, 2):
        shown = shown.repeat(max(1, _PIXELS // pixels), axis=axis)
    heads = ["image", *(_head(one) for one in looks)]
    left = [0.18 + column * (side + _GAP) for column in range(columns)]
    for x, head in zip(left, heads, strict=True):
        figure.text(
            x / WIDTH, (top - 0.02) / height, head, fontsize=9.5, color=INK, va="top", fontweight="bold"
        )
    for index, image in enumerate(shown):
        bottom = top - _HEAD - row * index - side
        places = [(x / WIDTH, bottom / height, side / WIDTH, side / height) for x in left]
        true = "true: "
        true += _short(_class(images.labels[index], classes), letters - len(true))
        _picture(figure.add_axes(places[0]), image, true, _short_file(images.names[index], letters))
        for place, one in zip(places[1:], looks, strict=True):
            _map(figure.add_axes(place), image, one, index, images, classes, letters)
    return figure


def _head(one: Look) -> str:
    height, width = one.maps.shape[1:]
    return f"{one.subject.name}\n{one.subject.resolution} px\nmap {height}×{width}"


def _class(label: int, classes: Sequence[str]) -> str:
    if label == UNKNOWN:
        return "unknown"
    return classes[label] if classes else f"class {label}"


def _short(name: str, letters: int) -> str:
    """A class's name; one that is too long by its beginning."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def _short_file(name: str, letters: int) -> str:
    """A file's name; of one that is too long, the end tells it from others."""
    return name if len(name) <= letters else "…" + name[1 - letters :]


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _under(axes: Axes, first: str, second: str, colour: str) -> None:
    axes.text(0, -0.04, first, transform=axes.transAxes, fontsize=8.5, color=colour, va="top")
    axes.text(0, -0.15, second, transform=axes.transAxes, fontsize=8, color=SOFT, va="top")


def _picture(axes: Axes, image: NDArray[np.uint8], first: str, second: str) -> None:
    _bare(axes)
    axes.imshow(image, interpolation="nearest")
    _under(axes, first, second, INK)


def _map(
    axes: Axes,
    image: NDArray[np.uint8],
    one: Look,
    index: int,
    images: Images,
    classes: Sequence[str],
    letters: int,
) -> None:
    _bare(axes)
    axes.imshow(_overlaid(image, one, index), interpolation="nearest")
    label, found = int(images.labels[index]), int(one.predicted[index])
    colour = INK if label == UNKNOWN else _RIGHT if found == label else _WRONG
    mark = "" if label == UNKNOWN else "✓ " if found == label else "✗ "
    second = f"p = {one.probabilities[index, found]:.2f}"
    if label not in (UNKNOWN, found):
        second += f", true {one.probabilities[index, label]:.2f}"
    _under(axes, mark + _short(_class(found, classes), letters - len(mark)), second, colour)


def _overlaid(image: NDArray[np.uint8], one: Look, index: int) -> NDArray[np.float64]:
    """The image in grey, coloured where the map is positive: the more, the brighter."""
    drawn = enlarged(one.maps[index : index + 1], len(image))[0].numpy()
    strength = drawn / drawn.max() if drawn.max() > 0 else drawn
    grey = np.repeat(image.mean(axis=2, keepdims=True) / 255, 3, axis=2)
    colour = colormaps["inferno"](strength)[:, :, :3]
    mixed: NDArray[np.float64] = 0.45 * grey + 0.55 * colour
    return mixed


def draw_focus(found: Focus, caption: str) -> Figure:
    """Part of the maps' mass on the object, by network, with intervals."""
    names = list(found.shares)
    figure, axes = new_figure(1.75 + 0.42 * len(names), "How much of a map lies on the object", caption)
    box = axes.get_position()
    axes.set_position((0.15, box.y0, box.x1 - 0.15, box.height))  # names are longer than numbers
    plain(axes)
    axes.grid(visible=False)
    policies = [name for name in names if name != "base"]
    for place, name in enumerate(reversed(names)):
        share = found.shares[name]
        colour, marker = (SOFT, "o") if name == "base" else style_of(name, policies)
        axes.plot([100 * share.low, 100 * share.high], [place, place], color=colour, linewidth=2)
        axes.plot(100 * share.mean, place, marker, color=colour, markersize=8)
        axes.annotate(
            f"{100 * share.mean:.1f} %", (100 * max(share.mean, share.high), place), xytext=(8, 0),
            textcoords="offset points", va="center", fontsize=10.5, color=colour,
        )  # fmt: skip
    axes.axvline(100 * found.area, color=SOFT, linewidth=1, linestyle="--")
    axes.annotate(
        "object's part of the image", (100 * found.area, len(names) - 0.45), xytext=(6, 0),
        textcoords="offset points", color=SOFT, fontsize=9.5,
    )  # fmt: skip
    axes.set_yticks(range(len(names)), list(reversed(names)))
    axes.set_ylim(-0.6, len(names) - 0.1)
    axes.margins(x=0.12)
    axes.set_xlabel("mass of the class activation map on the object (%)", fontsize=11.5, color=INK)
    return figure
