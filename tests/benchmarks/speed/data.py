"""Loading a folder of photos, and drawing fractals."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from scaler.data import fractals
from tests.benchmarks.speed.ratio import Row, Timed, program, ratio, timed

GROUP = "data"
IMAGES, CLASSES, SIDE, RESOLUTION = 1000, 10, 160, 64

_LOAD = """
import sys
from scaler.data.request import DataRequest
data = DataRequest(f"folder:{sys.argv[1]}", None, 64).load()
for part in ("train", "validation", "test"):
    data.part(part, 64).images[:].sum()
"""


def rows() -> Iterator[Row]:
    """First load against plain decoding, second load against the first, fractals against decoding."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        photos = list(_photos(root / "photos"))
        os.environ["SCALER_CACHE"] = str(root / "cache")
        decode = timed(partial(_decode, photos))
        first = ratio(_loaded_anew(root), decode)
        note = f"{IMAGES} JPEG files of {SIDE} px to {RESOLUTION} px; with the start of Python"
        yield first.row(
            GROUP, "first load of a folder", "Pillow decode", IMAGES / first.seconds, "images/s", note
        )
        second = ratio(program("-c", _LOAD, str(root / "photos")), _loaded_anew(root))
        cached = sum(file.stat().st_size for file in (root / "cache").rglob("*") if file.is_file())
        yield second.row(
            GROUP, "second load of a folder", "first load", IMAGES / second.seconds, "images/s",
            f"the cache takes {cached / IMAGES:,.0f} bytes an image",
        )  # fmt: skip
        drawn = fractals.Settings(images={"train": 8, "validation": 0, "test": 0})
        count = 8 * drawn.classes
        found = ratio(timed(partial(_draw, drawn)), decode)
        yield found.row(
            GROUP, "fractals drawn at 16 px", f"Pillow decode of {IMAGES} photos", count / found.seconds,
            "images/s", f"{count} images",
        )  # fmt: skip


def _photos(root: Path) -> Iterator[Path]:
    """Generated photos, smooth as photos are, in ``train/`` and ``val/``."""
    random = np.random.default_rng(0)
    for index in range(IMAGES):
        coarse = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        file = (
            root / ("val" if index // CLASSES % 5 == 0 else "train") / str(index % CLASSES) / f"{index}.jpg"
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, quality=90)
        yield file


def _decode(files: list[Path]) -> None:
    for file in files:
        with Image.open(file) as image:
            np.asarray(image.convert("RGB").resize((RESOLUTION, RESOLUTION)))


def _loaded_anew(root: Path) -> Timed:
    load = program("-c", _LOAD, str(root / "photos"))

    def once() -> float:
        shutil.rmtree(root / "cache", ignore_errors=True)
        return load()

    return once


def _draw(settings: fractals.Settings) -> None:
    for chunk in fractals.source(settings).draw("train", 16):
        chunk.sum()
