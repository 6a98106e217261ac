"""Where the object is in an image: by construction, or from boxes and masks that somebody drew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from scaler.data import fractals
from scaler.data.dataset import DataSet, PartName
from scaler.data.resize import square, upright
from scaler.errors import UserError
from scaler.inspect.images import UNKNOWN, Images

#: Pixels of a mask's side: finer than any last map.
SIDE = 64

Masks = NDArray[np.float32]
_BOX = ("left", "top", "right", "bottom")


def by_construction(images: Images, part: PartName) -> Masks:
    """The patterns of fractal images, ``[N, SIDE, SIDE]``: 1 where one was drawn."""
    wanted = {int(row): place for place, row in enumerate(images.rows)}
    masks = np.full((len(images), SIDE, SIDE), np.nan, dtype=np.float32)
    first = 0
    for drawn in fractals.masks(part, SIDE):
        for row in range(first, first + len(drawn)):
            if row in wanted:
                masks[wanted[row]] = drawn[row - first]
        first += len(drawn)
    return masks


def given(source: Path, images: Images, data: DataSet, part: PartName) -> Masks:
    """Boxes or masks that the user has.

    Args:
        source: a CSV file with the columns ``image, left, top, right, bottom`` in pixels of the file (a row
            per box), or a folder of masks, ``NAME.png``, as large as the images, light where the object is.
        images: whose masks are wanted; ``image`` and ``NAME`` are an image's number in the part, or its
            file's name.
        data: that the images are of.
        part: of the data.

    Returns:
        ``[N, SIDE, SIDE]``, the part of each pixel that is object; NaN for images without any.

    Raises:
        UserError: the file or folder cannot be read, or has nothing on these images.
    """
    masks = np.full((len(images), SIDE, SIDE), np.nan, dtype=np.float32)
    find = _drawn_masks(source) if source.is_dir() else _boxes(source)
    for place, row in enumerate(images.rows):
        for key in _keys(int(row), data, part):
            if key in find:
                masks[place] = _mask(find[key], int(row), data, part)
                break
    if np.isnan(masks).all():
        raise UserError(f"{source} has no object for any of the images: {_how_named(data, part)}")
    return masks


def _keys(row: int, data: DataSet, part: PartName) -> Iterator[str]:
    """Names of an image, the fullest first."""
    if row == UNKNOWN:
        return
    if files := data.files.get(part):
        file = files[row]
        yield from ("/".join(file.parts[-2:]), file.name, file.stem)
    yield str(row)


def _how_named(data: DataSet, part: PartName) -> str:
    files = data.files.get(part)
    example = f", such as {files[0].name}" if files else ""
    return f"name each by its number in the {part} part{' or by its file' if files else ''}{example}"


_Object = Path | list[tuple[float, float, float, float]]


def _drawn_masks(folder: Path) -> Mapping[str, _Object]:
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in (".png", ".bmp", ".tif")]
    return {file.stem: file for file in files}


def _boxes(path: Path) -> Mapping[str, _Object]:
    try:
        frame = pd.read_csv(path, dtype={"image": str})
    except FileNotFoundError as error:
        raise UserError(f"there is no file or folder {path} of boxes or masks") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} is no CSV table of boxes: {' '.join(str(error).split())}") from error
    if missing := [name for name in ("image", *_BOX) if name not in frame]:
        raise UserError(f"{path} lacks the column {missing[0]!r}: it needs image, {', '.join(_BOX)}")
    numbers = frame[list(_BOX)].apply(pd.to_numeric, errors="coerce")
    bad = numbers.isna().any(axis=1) | frame["image"].isna()
    bad |= (numbers["right"] <= numbers["left"]) | (numbers["bottom"] <= numbers["top"])
    if bad.any():
        line = int(np.flatnonzero(bad)[0]) + 2
        raise UserError(f"{path}, line {line}: no box; left, top, right, bottom are pixels, left < right")
    found: dict[str, _Object] = {}
    for name, box in zip(frame["image"], numbers.itertuples(index=False), strict=True):
        boxes = found.setdefault(str(name), [])
        assert isinstance(boxes, list)
        boxes.append((float(box[0]), float(box[1]), float(box[2]), float(box[3])))
    return found


def _mask(found: _Object, row: int, data: DataSet, part: PartName) -> Masks:
    """The mask of one image, cut to the centre square as the image itself is."""
    if isinstance(found, Path):
        try:
            with Image.open(found) as image:
                light = square(image.convert("L").convert("RGB"), SIDE)[:, :, 0]
                return light.astype(np.float32) / np.float32(255)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"the mask {found} cannot be read: {error}") from error
    width, height = _size(row, data, part)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    mask = np.zeros((SIDE, SIDE), dtype=np.float32)
    for box in found:
        across = _covered((box[0] - left) / side, (box[2] - left) / side)
        down = _covered((box[1] - top) / side, (box[3] - top) / side)
        mask = np.maximum(mask, down[:, None] * across)
    return mask


def _covered(start: float, end: float) -> Masks:
    """Which part of each of ``SIDE`` pixels lies between two places, in parts of the side."""
    edges = np.arange(SIDE + 1) / SIDE
    lengths = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    covered: Masks = (lengths.clip(0) * SIDE).astype(np.float32)
    return covered


def _size(row: int, data: DataSet, part: PartName) -> tuple[int, int]:
    files = data.files.get(part)
    if not files:
        return data.native_resolution, data.native_resolution
    with Image.open(files[row]) as image:
        return upright(image).size
