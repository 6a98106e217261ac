"""From any image to a square of bytes: centre crop and antialiased resizing, the same for every source."""

from __future__ import annotations

import warnings
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

#: An image that claims more pixels than Pillow takes for honest is refused, not only warned of.
warnings.simplefilter("error", Image.DecompressionBombWarning)

#: Formats that are programs which draw an image: those Pillow hands to other programs.
DRAWN = ("EPS", "WMF")
#: Formats that are not read; what is no image at all among them may lie beside images.
_NOT_READ = (*DRAWN, "FPX", "GBR", "MPEG", "HDF5", "BUFR", "GRIB", "PDF")


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

    Raises:
        OSError, ValueError, SyntaxError: the image cannot be read to its end.
    """
    with opened(encoded) as image:
        side = min(image.size)
        image.draft("RGB", (1, 1))
        image.load()
        return side


def decode(encoded: bytes, resolution: int) -> NDArray[np.uint8]:
    """An image file's content as :func:`square`: any mode Pillow reads, turned upright by its EXIF tag.

    Raises:
        OSError, ValueError, SyntaxError: the image cannot be read.
    """
    with opened(encoded) as image:
        # JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the work; twice the size keeps the detail.
        image.draft("RGB", (2 * resolution, 2 * resolution))
        return square(_rgb(ImageOps.exif_transpose(image)), resolution)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel, which convert() would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
