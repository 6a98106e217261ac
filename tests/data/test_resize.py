from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from scaler.data.resize import NoWhiteError, decode, short_side, square

ORIENTATION = 0x0112
#: Entries of EXIF, as tag, type, count and value, that Pillow reads and cannot write.
ODD = {
    "a text of fractions": (0x010F, 5, 1, b"\x08\0\0\0"),
    "a width of bytes": (0x0100, 1, 1, b"\0\0\0\0"),
    "a resolution of bytes": (0x011A, 1, 1, b"\0\0\0\0"),
    "a directory nowhere": (0x8769, 6, 1, b"\xff\xff\xff\xff"),
}


def picture() -> Image.Image:
    """Four quarters, each of another colour, wider than high."""
    pixels = np.zeros((32, 48, 3), dtype=np.uint8)
    pixels[:16, :24], pixels[:16, 24:], pixels[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(pixels)


def content(image: Image.Image, kind: str, exif: bytes | Image.Exif = b"") -> bytes:
    file = BytesIO()
    image.save(file, kind, **({"exif": exif} if exif else {}))
    return file.getvalue()


def raw_exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF as a camera writes it, by hand: Pillow would not write these."""
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in sorted(entries))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_pillow_turns_it(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = content(picture(), kind, exif)
    turned = ImageOps.exif_transpose(Image.open(BytesIO(file))).convert("RGB")
    np.testing.assert_array_equal(decode(file, 32), square(turned, 32))
    assert short_side(file) == min(turned.size) == 32


@pytest.mark.parametrize("odd", ODD)
def test_odd_tags_beside_the_orientation_do_no_harm(odd: str) -> None:
    exif = raw_exif((ORIENTATION, 3, 1, struct.pack("<HH", 6, 0)), ODD[odd])
    file = content(picture(), "PNG", exif)
    with pytest.raises(Exception, match=r".*"):
        ImageOps.exif_transpose(Image.open(BytesIO(file)))
    assert short_side(file) == 32
    expected = square(picture().transpose(Image.Transpose.ROTATE_270), 32)
    np.testing.assert_array_equal(decode(file, 32), expected)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0no tags at all",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        raw_exif((ORIENTATION, 2, 4, b"six\0")),
        raw_exif((ORIENTATION, 3, 1, b"\x63\0\0\0")),
        raw_exif((ORIENTATION, 5, 1, b"\xff\xff\xff\xff")),
    ],
)
@pytest.mark.filterwarnings("ignore:.*EXIF")
def test_an_orientation_that_cannot_be_read_is_upright(exif: bytes) -> None:
    file = content(picture(), "PNG", exif)
    assert short_side(file) == 32
    np.testing.assert_array_equal(decode(file, 32), square(picture(), 32))


@pytest.mark.parametrize(
    ("values", "kind"),
    [(np.float32, "TIFF"), (np.int32, "TIFF"), (np.float32, "PPM")],
)
def test_numbers_without_a_known_white_are_no_pixels(values: type, kind: str) -> None:
    file = content(Image.fromarray(np.linspace(0, 254, 400).reshape(20, 20).astype(values)), kind)
    for read in (short_side, lambda file: decode(file, 8)):
        with pytest.raises(NoWhiteError, match="32-bit numbers"):
            read(file)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "PPM"])
def test_the_upper_of_16_bits_are_the_grey_level(kind: str) -> None:
    file = content(Image.fromarray(np.full((20, 20), 200 * 256 + 17, dtype=np.uint16)), kind)
    assert short_side(file) == 20
    assert (decode(file, 8) == 200).all()


def test_a_mode_that_does_not_become_rgb_is_seen_by_both() -> None:
    """Grey with an alpha that is multiplied in, which the tag of extra samples tells."""
    extra = struct.pack("<HHI", 338, 3, 1)
    file = content(Image.new("LA", (20, 20)), "TIFF").replace(extra + b"\2", extra + b"\1")
    assert Image.open(BytesIO(file)).mode == "La"
    for read in (short_side, lambda file: decode(file, 8)):
        with pytest.raises(ValueError, match="conversion from La"):
            read(file)
