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
            file's name, after its folder's (``dog/17.jpg``) where others have the same.
        data: that the images are of.
        part: of the data.

    Returns:
        ``[N, SIDE, SIDE]``, the part of each pixel that is object; NaN for images without any.

    Raises:
        UserError: the file or folder cannot be read, has nothing on these images, or a name in it stands for
            more than one image or mask.
    """
    masks = np.full((len(images), SIDE, SIDE), np.nan, dtype=np.float32)
    find = _drawn_masks(source, data, part) if source.is_dir() else _boxes(source)
    meant = _meant(source, find, data, part)
    for place, row in enumerate(map(int, images.rows)):
        key = next((key for key in _keys(row, data, part) if meant.get(key) == row), None)
        if key is not None:
            masks[place] = _mask(find[key], row, data, part)
    if np.isnan(masks).all():
        raise UserError(f"{source} has no object for any of the images: {_how_named(data, part)}")
    return masks


def _keys(row: int, data: DataSet, part: PartName) -> Iterator[str]:
    """Names of an image, the fullest first."""
    if row == UNKNOWN:
        return
    if files := data.files.get(part):
        yield from _file_names(files[row])
    yield str(row)


def _file_names(file: Path) -> tuple[str, ...]:
    folder = file.parent.name
    return f"{folder}/{file.name}", f"{folder}/{file.stem}", file.name, file.stem


def _meant(source: Path, found: Mapping[str, _Object], data: DataSet, part: PartName) -> dict[str, int]:
    """The image of a part that each name stands for; names of none are left out."""
    meant: dict[str, int] = {}
    for row, file in enumerate(data.files.get(part, ())):
        for name in _file_names(file):
            if name in found and meant.setdefault(name, row) != row:
                raise UserError(
                    f"{source}: more than one image of {data.name} is named {name!r}: name each with its "
                    f"folder, such as {_file_names(file)[0]}"
                )
    for row in range(data.sizes[part]):
        # A number means an image only where no file is called so.
        if str(row) in found:
            meant.setdefault(str(row), row)
    for name in meant:
        if len(masks := [one for one in found[name] if isinstance(one, Path)]) > 1:
            raise UserError(
                f"{masks[0]} and {masks[1]} are both the mask of {name!r}: put masks into folders named as "
                "the images' folders, and give --objects those of one part"
            )
    return meant


def _how_named(data: DataSet, part: PartName) -> str:
    files = data.files.get(part)
    example = f", such as {_file_names(files[0])[0]}" if files else ""
    return f"name each by its number in the {part} part{' or by its file' if files else ''}{example}"


_Edges = tuple[float, float, float, float]
#: Files of a mask, of which there should be one, or boxes.
_Object = list[Path] | list[_Edges]


def _drawn_masks(folder: Path, data: DataSet, part: PartName) -> Mapping[str, _Object]:
    """Masks by name, after that of their folder where images lie in one that is called so."""
    folders = {file.parent.name for file in data.files.get(part, ())}
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in (".png", ".bmp", ".tif"):
            above = file.relative_to(folder).parent.name
            found.setdefault(f"{above}/{file.stem}" if above in folders else file.stem, []).append(file)
    return dict(found)


def _boxes(path: Path) -> Mapping[str, _Object]:
    try:
        frame = pd.read_csv(path, dtype={"image": str}, keep_default_na=False, na_values=[""])
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
    found: dict[str, list[_Edges]] = {}
    for name, box in zip(frame["image"], numbers.itertuples(index=False), strict=True):
        boxes = found.setdefault(str(name), [])
        boxes.append((float(box[0]), float(box[1]), float(box[2]), float(box[3])))
    return dict(found)


def _mask(found: _Object, row: int, data: DataSet, part: PartName) -> Masks:
    """The mask of one image, cut to the centre square as the image itself is."""
    first = found[0]
    if isinstance(first, Path):
        return _read_mask(first)
    width, height = _size(row, data, part)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    mask = np.zeros((SIDE, SIDE), dtype=np.float32)
    for box in found:
        assert isinstance(box, tuple)
        across = _covered((box[0] - left) / side, (box[2] - left) / side)
        down = _covered((box[1] - top) / side, (box[3] - top) / side)
        mask = np.maximum(mask, down[:, None] * across)
    return mask


def _read_mask(file: Path) -> Masks:
    try:
        with Image.open(file) as image:
            light = square(image.convert("L").convert("RGB"), SIDE)[:, :, 0]
            return light.astype(np.float32) / np.float32(255)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"the mask {file} cannot be read: {error}") from error


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
