"""From any image to a square of bytes: centre crop and antialiased resizing, the same for every source."""

from __future__ import annotations

import warnings
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

#: An image that claims more pixels than Pillow takes for honest is refused, not only warned of.
warnings.simplefilter("error", Image.DecompressionBombWarning)

#: Formats that are programs which draw an image: those Pillow hands to other programs.
DRAWN = ("EPS", "WMF")
#: Formats that are not read; what is no image at all among them may lie beside images.
_NOT_READ = (*DRAWN, "FPX", "GBR", "MPEG", "HDF5", "BUFR", "GRIB", "PDF")
#: Formats that Pillow reads 16 bits of into numbers of 32.
_16_BITS = ("PNG", "PPM")

#: What makes an image upright, by its EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NoWhiteError(ValueError):
    """An image's numbers have no known white, so that no grey level can be told."""


def opened(encoded: bytes) -> Image.Image:
    """The image in a file's content, of a format that holds pixels; they are not decoded yet.

    Raises:
        OSError, ValueError, SyntaxError, RuntimeWarning: it is none, or claims too many pixels.
    """
    return Image.open(BytesIO(encoded), formats=formats())


@lru_cache(1)
def formats() -> tuple[str, ...]:
    """The formats that are read."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _NOT_READ)


def square(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """The centre square of an RGB image, its short side resized to ``resolution``: ``uint8 [R, R, 3]``."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if (width, height) != (resolution, resolution):
        box = (left, top, left + side, top + side)
        image = image.resize((resolution, resolution), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image, dtype=np.uint8)


def squares(images: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """Square images ``uint8 [N, R, R, 3]`` resized one by one."""
    if images.shape[1] == resolution:
        return images
    out = np.empty((len(images), resolution, resolution, 3), dtype=np.uint8)
    for target, image in zip(out, images, strict=True):
        target[:] = square(Image.fromarray(image), resolution)
    return out


def short_side(encoded: bytes) -> int:
    """Short side in pixels of an image file's content, decoded as coarsely as its format allows.

    It is the same whichever way the image is turned. What passes here, :func:`decode` takes.

    Raises:
        NoWhiteError: of an image of 32-bit numbers.
        OSError, ValueError, SyntaxError: the image cannot be read to its end.
    """
    with opened(encoded) as image:
        side = min(image.size)
        image.draft("RGB", (1, 1))
        image.load()
        _refuse_no_white(image)
        # Not every mode becomes RGB; one pixel tells.
        _rgb(image.crop((0, 0, 1, 1)))
        return side


def decode(encoded: bytes, resolution: int) -> NDArray[np.uint8]:
    """An image file's content as :func:`square`: any mode Pillow reads, turned upright by its EXIF tag.

    Raises:
        NoWhiteError: of an image of 32-bit numbers.
        OSError, ValueError, SyntaxError: the image cannot be read.
    """
    with opened(encoded) as image:
        # JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the work; twice the size keeps the detail.
        image.draft("RGB", (2 * resolution, 2 * resolution))
        image.load()
        _refuse_no_white(image)
        return square(_rgb(upright(image)), resolution)


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF tag says; as it is, where that cannot be read."""
    # ImageOps.exif_transpose() also writes the other tags anew, and fails on odd ones.
    try:
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    # Broken tags can fail in any way; the pixels are there.
    except Exception:
        return image
    return image if method is None else image.transpose(method)


def _refuse_no_white(image: Image.Image) -> None:
    if image.mode == "F" or (image.mode == "I" and image.format not in _16_BITS):
        raise NoWhiteError("its pixels are 32-bit numbers, of which none is known as white")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel, which convert() would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
