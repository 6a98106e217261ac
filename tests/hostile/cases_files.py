"""Weights, folders of images, and the image cache."""

from __future__ import annotations

import io
import os
import pickle
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.hostile.case import Case
from tests.hostile.cases_runs import GARBAGE, PLAN, specials
from tests.hostile.cases_yaml import writes


def _tensor(make: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        import torch

        from scaler.networks.build import build
        from scaler.networks.registry import base

        state: Any = dict(build(base("resnet-20")).state_dict())
        key = next(key for key in state if key.endswith("weight") and state[key].dim() == 4)
        match make:
            case "NaN":
                state[key] = torch.full_like(state[key], float("nan"))
            case "infinite":
                state[key] = torch.full_like(state[key], float("inf"))
            case "meta":
                state[key] = state[key].to("meta")
            case "sparse":
                state[key] = state[key].to_sparse()
            case "complex":
                state[key] = state[key].to(torch.complex64)
            case "whole numbers":
                state[key] = state[key].to(torch.int64)
            case "quantised":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it is old, and lives on in files
                    state[key] = torch.quantize_per_tensor(state[key], 0.1, 0, torch.qint8)
            case "8 bits":
                state[key] = state[key].to(torch.float8_e4m3fn)
            case "transposed":
                state[key] = state[key].flatten()
            case "huge":
                state[key] = torch.zeros(1).expand(10**9, 10**3)
            case "one missing":
                del state[key]
            case "no tensors":
                state = {"a": 5}
            case "a list":
                state = [1, 2]
            case "empty":
                state = {}
        torch.save(state, folder / "bad.pth")

    return prepare


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch owned",)


def _pickles() -> dict[str, bytes]:
    def zipped() -> bytes:
        import zipfile

        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(_Evil()))
            archive.writestr("archive/version", "3\n")
        return memory.getvalue()

    return {
        "text": b"hello\nworld\n",
        "empty": b"",
        "NUL bytes": b"\x00" * 1000,
        "hostile pickle": pickle.dumps(_Evil()),
        "hostile archive": zipped(),
        "cut pickle": pickle.dumps({"a": [1.0] * 100})[:-20],
        "malformed pickle": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff\x8c",
        "stack underflow": b"\x80\x02R.",
        "memo of nothing": b"\x80\x02h\x05.",
        "protocol 255": b"\x80\xff.",
        "an image": b"\x89PNG\r\n\x1a\n" + b"\x00" * 50,
        "a zip of nothing": b"PK\x05\x06" + b"\x00" * 18,
        "a number": pickle.dumps(5),
        "huge header": struct.pack("<Q", 2**63) + b"{}",
    }


def weights() -> Iterator[Case]:
    """State dicts."""
    line = ("profile", "resnet-20", "--weights", "bad.pth")
    for name in ("NaN", "infinite", "meta", "sparse", "complex", "whole numbers", "quantised",
        "8 bits", "transposed", "one missing",
                 "no tensors", "a list", "empty"):  # fmt: skip
        yield Case("weights", name, line, ("bad.pth",), make=_tensor(name))
    for name, content in _pickles().items():
        yield Case("weights", name, line, ("bad.pth",), make=writes("bad.pth", content))
    safetensors = (*line[:-1], "bad.safetensors")
    for name, content in (
        ("text", b"hello"),
        ("huge header", struct.pack("<Q", 2**63) + b"{}"),
        ("empty", b""),
    ):
        yield Case(
            "weights",
            f"safetensors, {name}",
            safetensors,
            ("bad.safetensors",),
            make=writes("bad.safetensors", content),
        )
    for name, make in specials("bad.pth").items():
        yield Case("weights", name, line, ("bad.pth",), make=make)


def _floats() -> bytes:
    """A TIFF of floating-point numbers."""
    memory = io.BytesIO()
    Image.new("F", (16, 16), 0.5).save(memory, "TIFF")
    return memory.getvalue()


def _png(width: int, height: int) -> bytes:
    """A PNG that claims a size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 10))
        + chunk(b"IEND", b"")
    )


_PLACE = "photos/train/apples/bad.png"

_IMAGES: dict[str, tuple[str, bytes]] = {
    "empty": (_PLACE, b""),
    "text": (_PLACE, b"hello"),
    "cut PNG": (_PLACE, b"\x89PNG\r\n\x1a\n" + b"\x00" * 40),
    "a bomb": (_PLACE, _png(60_000, 60_000)),
    "larger than a warning": (_PLACE, _png(12_000, 12_000)),
    "no pixels": (_PLACE, _png(0, 0)),
    "cut JPEG": (_PLACE.replace("png", "jpg"), b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\x00" * 30),
    "GIF of nothing": (_PLACE.replace("png", "gif"), b"GIF89a\xff\xff\xff\xff\x00\x00\x00;"),
    "TIFF that points to itself": (_PLACE.replace("png", "tif"),
        b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00"),
    "WEBP of nothing": (_PLACE.replace("png", "webp"), b"RIFF\xff\xff\xff\xffWEBPVP8 "),
    "PostScript": (_PLACE.replace("png", "eps"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"),
    "PPM without end": (_PLACE.replace("png", "ppm"), b"P6 999999999 999999999 255\n"),
    "ICO of nothing": (_PLACE.replace("png", "ico"), b"\x00\x00\x01\x00\xff\xff"),
    "TIFF of fractions": (_PLACE.replace("png", "tif"), _floats()),
    "PSD of nothing": (_PLACE.replace("png", "psd"), b"8BPS\x00\x01" + b"\xff" * 40),
}  # fmt: skip


def pictures() -> Iterator[Case]:
    """Folders of images."""
    line = (*PLAN, "--data", "folder:photos")
    for name, (place, content) in _IMAGES.items():
        yield Case("image", name, line, ("photos", "--skip-unreadable"), make=writes(place, content))
        yield Case(
            "image",
            f"{name}, skipped",
            (*line, "--skip-unreadable"),
            ("unreadable",),
            make=writes(place, content),
            code=0,
        )
    for name, make in specials(_PLACE).items():
        yield Case("image", name, line, ("photos|images",), make=make, code=0 if name == "a directory" else 2)
        yield Case("image", f"{name}, skipped", (*line, "--skip-unreadable"), make=make, code=0)

    def named(name: bytes) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            source = folder / "photos/train/apples/0.png"
            target = os.fsencode(folder) + b"/photos/train/" + name
            os.makedirs(os.path.dirname(target), exist_ok=True)
            Path(os.fsdecode(target)).write_bytes(source.read_bytes())

        return make

    yield Case("image", "name not UTF-8", line, make=named(b"apples/\xff\xfe.png"), code=0)
    yield Case(
        "image",
        "broken, name not UTF-8",
        line,
        ("photos",),
        make=writes(os.fsdecode(b"photos/train/apples/\xff.png"), b"x"),
    )
    yield Case(
        "image",
        "broken, name with escapes",
        line,
        ("photos",),
        make=writes("photos/train/apples/\x1b[31m.png", b"x"),
    )
    yield Case(
        "image",
        "broken, name with a line break",
        line,
        ("photos",),
        make=writes("photos/train/apples/a\nError: b.png", b"x"),
    )
    yield Case("image", "class not UTF-8", line, ("class|image",), make=named(b"\xff\xfe/0.png"))
    for name in ("²", "١", "\x1b[31m", "a\nb"):
        yield Case("image", f"class {name!a}", line, ("image|class",), make=named(name.encode() + b"/0.png"))

    def only(*names: str) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            import shutil

            for path in (folder / "photos/train").iterdir():
                if path.name not in names:
                    shutil.rmtree(path)

        return make

    yield Case("image", "one class", line, ("class",), make=only("apples"))
    yield Case("image", "no class", line, ("photos",), make=only())
    yield Case("image", "no train folder", (*PLAN, "--data", "folder:results"), ("train",))
    yield Case(
        "image",
        "looping class folder",
        line,
        make=lambda f: (f / "photos/train/apples/loop").symlink_to(".."),
        code=0,
    )
    yield Case(
        "image",
        "looping class link",
        line,
        ("photos|class",),
        make=lambda f: (f / "photos/train/kiwi").symlink_to("kiwi"),
    )
    for name, data in (("too long", "folder:" + "a" * 300), ("home of nobody", "folder:~no-such-user/a")):
        yield Case("image", name, (*PLAN, "--data", data), ("too long|home",))
    root = (*PLAN, "--data-root", "a" * 300, "--data")
    for data in ("folder:photos", "cifar10"):
        yield Case("image", f"root too long, {data}", (*root, data), ("too long",))
    yield Case("image", "class is a FIFO", line, make=lambda f: os.mkfifo(f / "photos/train/kiwi"), code=0)


def caches() -> Iterator[Case]:
    """An image cache that was damaged or cannot be written."""
    line = ("search", "--space", "space.yaml", "--data", "digits", "--dry-run")
    yield Case("cache", "a file", line, ("SCALER_CACHE",), environment={"SCALER_CACHE": "net.yaml"})
    yield Case("cache", "/dev/null", line, ("SCALER_CACHE",), environment={"SCALER_CACHE": "/dev/null"})
    yield Case("cache", "/proc", line, ("SCALER_CACHE",), environment={"SCALER_CACHE": "/proc/nosuch"})

    def damaged(content: bytes) -> Callable[[Path], None]:
        def make(folder: Path) -> None:
            from scaler.data import folder as photos

            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SCALER_CACHE", str(folder / "cache"))
                photos.source(folder / "photos", name="folder:photos")
            kept = list((folder / "cache").rglob("*.json"))
            assert kept
            for path in kept:
                path.write_bytes(content)

        return make

    again = (*PLAN, "--data", "folder:photos")
    for name in ("empty", "not UTF-8", "[1]", "null", "deep"):
        yield Case(
            "cache",
            f"damaged: {name}",
            again,
            make=damaged(GARBAGE[name]),
            code=0,
            writes="^cache/",
            environment={"SCALER_CACHE": "cache"},
        )
