"""Files of runs and tables that were cut, edited, or never ours; weights; folders of images; the cache."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.case import Case
from tests.hostile.cases_yaml import FORMATS, writes
from tests.hostile.world import TABLE

PLAN = ("search", "--space", "space.yaml", "--dry-run")
SCALE = ("scale", "--phi", "1", "--dry-run")
_ONE = "results/one/"

#: Contents that are no file of ours, whatever it should hold.
_GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "NUL bytes": b"\x00" * 100,
    "not UTF-8": b"\xff\xfe\xfa",
    "a word": b"word",
    "[1]": b"[1]",
    "null": b"null",
    "{}": b"{}",
    "deep": b"[" * 100_000,
    "NaN": b"NaN",
}


def _specials(name: str) -> dict[str, Callable[[Path], None]]:
    """What can stand at a file's place without being one."""

    def placed(make: Callable[[Path], object]) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).unlink(missing_ok=True)
            make(folder / name)

        return prepare

    return {
        "a directory": placed(lambda path: path.mkdir()),
        "a FIFO": placed(lambda path: os.mkfifo(path)),
        "/dev/zero": placed(lambda path: path.symlink_to("/dev/zero")),
        "a looping link": placed(lambda path: path.symlink_to(path.name)),
        "a broken link": placed(lambda path: path.symlink_to("nosuch")),
    }


def _json(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """``coefficients.json`` of the search, changed."""

    def make(folder: Path) -> None:
        path = folder / _ONE / "coefficients.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return make


def _csv(name: str, change: Callable[[list[list[str]]], object]) -> Callable[[Path], None]:
    """A table of a run, its cells changed."""

    def make(folder: Path) -> None:
        path = folder / "results" / name
        rows = [line.split(",") for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("\n".join(",".join(row) for row in rows) + "\n")

    return make


def _cell(column: str, value: str) -> Callable[[list[list[str]]], object]:
    def change(rows: list[list[str]]) -> None:
        rows[1][rows[0].index(column)] = value

    return change


def results() -> Iterator[Case]:
    """``coefficients.json``, ``curve.csv``, ``trials.csv``, ``candidates.csv``, ``study.log``."""
    says = ("coefficients.json",)
    for name, content in _GARBAGE.items():
        yield Case(
            "coefficients", name, SCALE, says, make=writes(f"{_ONE}coefficients.json", content), runs=True
        )
    for name, make in _specials(f"{_ONE}coefficients.json").items():
        yield Case("coefficients", name, SCALE, says, make=make, runs=True)
    changes: dict[str, Callable[[dict[str, Any]], object]] = {
        "alpha NaN": lambda c: c.update(alpha=float("nan")),
        "alpha infinite": lambda c: c.update(alpha=float("inf")),
        "alpha negative": lambda c: c.update(alpha=-1.0),
        "alpha of text": lambda c: c.update(alpha="x"),
        "no such candidate": lambda c: c.update(network="99"),
        "candidate 99": lambda c: c.update(network=99),
        "no policies": lambda c: c.update(policies={}),
        "no space": lambda c: c.pop("space"),
        "unknown base": lambda c: c["space"].update(base="nosuch"),
        "other version": lambda c: c.update(schema=99),
        "policy of zeros": lambda c: c["policies"][c["network"]]["native"].update(alpha=0.0),
        "policy of infinities": lambda c: c["policies"][c["network"]]["native"].update(beta=float("inf")),
        "ratio NaN": lambda c: c["policies"][c["network"]].update(flops_ratio=float("nan")),
        "budget ratio zero": lambda c: c.update(budget_ratio=0.0),
        "shares beyond 1": lambda c: c["policies"][c["network"]]["shares"].update(depth=5.0),
    }
    for name, change in changes.items():
        checks = says if name != "unknown base" else ("nosuch",)
        yield Case("coefficients", name, SCALE, checks, make=_json(change), runs=True)
    for table, line in (
        ("grown/curve.csv", ("pareto", "grown")),
        ("grown/curve.csv", ("plot", "grown")),
        ("one/candidates.csv", ("pareto", "one")),
        ("one/trials.csv", ("plot", "one")),
        ("one/trials.csv", ("replay", "results/one")),
    ):
        file = table.split("/")[1]
        for name in ("empty", "NUL bytes", "not UTF-8", "a word"):
            yield Case(
                f"{file} in {line[0]}",
                name,
                line,
                (file,),
                make=writes(f"results/{table}", _GARBAGE[name]),
                runs=True,
            )
        for name, make in _specials(f"results/{table}").items():
            if name not in ("a directory", "a broken link", "a looping link"):
                yield Case(f"{file} in {line[0]}", name, line, (file,), make=make, runs=True)
    for line in (("pareto", "grown"), ("plot", "grown")):
        for column, values in {
            "flops": ("inf", "-1", "nan", "x", "0", "1e400"),
            "accuracy": ("2", "-0.1", "inf", "x"),
            "accuracy_stderr": ("-1", "inf"),
            "params": ("-5", "inf", "1.5"),
            "phi": ("inf", "x"),
            "seeds": ("-1", "1.5"),
        }.items():
            for value in values:
                yield Case(
                    f"curve.csv in {line[0]}", f"{column} {value}", line, ("curve.csv", "line 2", column),
                    make=_csv("grown/curve.csv", _cell(column, value)), runs=True,
                )  # fmt: skip
    for line, tables in ((("plot", "one"), ("trials",)), (("pareto", "one"), ("trials", "candidates"))):
        for table in tables:
            cells = {
                "trials": {"candidate": ("-1", "99", "1.5", "inf"), "accuracy": ("2", "inf", "-1"), "epochs": ("-1", "x"),
                           "rung": ("-1",), "seed_index": ("-1", "inf"), "loss": ("-inf", "x")},
                "candidates": {"candidate": ("-1", "inf", "1.5"), "flops": ("inf", "-1"), "feasible": ("maybe",),
                               "share_depth": ("7", "nan?")},
            }[table]  # fmt: skip
            for column, values in cells.items():
                for value in values:
                    yield Case(
                        f"{table}.csv in {line[0]}", f"{column} {value}", line, (f"{table}.csv",),
                        make=_csv(f"one/{table}.csv", _cell(column, value)), runs=True,
                    )  # fmt: skip
    for table, line in (("grown/curve.csv", ("pareto", "grown")), ("one/trials.csv", ("plot", "one"))):

        def cut(folder: Path, table: str = table) -> None:
            path = folder / "results" / table
            path.write_bytes(path.read_bytes()[:-9])

        yield Case("cut", table, line, (table.split("/")[1],), make=cut, runs=True)

        def doubled(folder: Path, table: str = table) -> None:
            path = folder / "results" / table
            header, *rest = path.read_text().splitlines()
            path.write_text("\n".join([f"{header},{header}", *rest]) + "\n")

        yield Case("cut", f"{table}, columns twice", line, (table.split("/")[1],), make=doubled, runs=True)


_RUN = "kind: search\ncreated: '2024-01-01T00:00:00'\nfinished: '2999-01-01T00:00:00+00:00'\nschema: 2\n"

#: What a bad run.yaml among good ones may hold.
_BAD_RUNS: dict[str, bytes] = {
    **{name: FORMATS[name] for name in ("empty", "a list", "not UTF-8", "NUL bytes", "alias bomb", "refers to itself",
                                        "3000 deep", "huge text", "Python object", "bad date", "unclosed", "image")},
    "empty configuration": f"{_RUN}configuration: {{}}\n".encode(),
    "configuration of text": f"{_RUN}configuration: x\n".encode(),
    "null configuration": f"{_RUN}configuration:\n".encode(),
    "space of text": f"{_RUN}configuration: {{space: x}}\n".encode(),
    "space without a base": f"{_RUN}configuration: {{space: {{}}}}\n".encode(),
    "bad date inside": f"{_RUN}configuration: {{a: 2024-99-99}}\n".encode(),
    "kind of list": _RUN.replace("search", "[1]").encode() + b"configuration: {a: 1}\n",
    "finished of numbers": b"kind: search\ncreated: 1\nfinished: 5\nconfiguration: {a: 1}\n",
    "finished mapping": b"kind: search\ncreated: x\nfinished: {}\nconfiguration: {space: {base: x}}\n",
    "real date": b"kind: search\ncreated: 2024-01-01\nfinished: 2024-01-02\nconfiguration: {space: {base: x}}\n",
}  # fmt: skip


def bad_runs() -> Iterator[Case]:
    """One bad run among good ones: passed over with a warning that names it."""
    lines = {
        "search": PLAN,
        "scale": (*SCALE, "--base", "resnet-20"),
        "pareto": ("pareto", "--quiet"),
        "plot": ("plot", "--quiet"),
    }
    for command, line in lines.items():
        for name, content in _BAD_RUNS.items():
            warned = ("Warning: .*bad",) if name != "real date" else ()
            yield Case(
                f"bad run, {command}", name, line, warned, make=writes("results/bad/run.yaml", content), code=0,
                runs=True, writes=r"^results/grown/",
            )  # fmt: skip
        for name, make in _specials("results/bad/run.yaml").items():
            yield Case(
                f"bad run, {command}", name, line, ("Warning: .*bad",), make=make, code=0, runs=True,
                writes=r"^results/grown/",
            )  # fmt: skip
    for name, content in _BAD_RUNS.items():
        if name != "real date":
            yield Case(
                "bad run, named", name, ("pareto", "bad"), ("bad",),
                make=writes("results/bad/run.yaml", content), runs=True,
            )  # fmt: skip


def tables() -> Iterator[Case]:
    """Tables for replays."""
    line = ("replay", "bad.csv", "--replays", "2", "--strategy", "exhaustive")
    for name, content in _GARBAGE.items():
        yield Case("table", name, line, ("bad.csv",), make=writes("bad.csv", content))
    for name, make in _specials("bad.csv").items():
        yield Case("table", name, line, ("bad.csv|candidates.csv",), make=make)
    good = {"candidate": "0", "share_depth": "1.0", "share_width": "0.0", "share_resolution": "0.0", "seed_index": "0",
            "epochs": "1", "images": "64", "train_flops": "1000", "accuracy": "0.5", "loss": "1.5"}  # fmt: skip
    cells: dict[str, tuple[str, ...]] = {
        "candidate": ("-1", "1.5", "inf", "x", "", "1e300"),
        "share_depth": ("-1", "2", "inf", "x", ""),
        "seed_index": ("-1", "inf", "x", "1.5"),
        "epochs": ("0", "-1", "inf", "1.5", "x"),
        "images": ("0", "-1", "inf", "x"),
        "train_flops": ("0", "-1", "inf", "x", "1e400"),
        "accuracy": ("2", "-0.1", "inf", "x", ""),
        "loss": ("-1", "-inf", "x"),
    }
    for column, values in cells.items():
        for value in values:
            rows = [",".join({**good, column: value}.values())]
            rows += [
                ",".join({**good, "candidate": str(c), "share_depth": "0.0", "share_width": "1.0"}.values())
                for c in (1, 2)
            ]
            yield Case(
                "table",
                f"{column} {value or 'missing'}",
                line,
                ("bad.csv", column),
                make=writes("bad.csv", TABLE + "\n".join(rows) + "\n"),
            )
    yield Case("table", "header alone", line, ("bad.csv",), make=writes("bad.csv", TABLE))
    yield Case(
        "table", "one row", line, ("bad.csv",), make=writes("bad.csv", TABLE + ",".join(good.values()) + "\n")
    )
    twice = ",".join(good.values()) + "\n"
    yield Case("table", "a row twice", line, ("bad.csv", "twice"), make=writes("bad.csv", TABLE + twice * 2))

    def cut(folder: Path) -> None:
        (folder / "bad.csv").write_bytes((folder / "table.csv").read_bytes()[:-8])

    yield Case("table", "cut mid-row", line, ("bad.csv",), make=cut)


def _tensor(make: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        import torch

        from scaler.networks.build import build
        from scaler.networks.registry import base

        state = dict(build(base("resnet-20")).state_dict())
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
                state[key] = torch.quantize_per_tensor(state[key], 0.1, 0, torch.qint8)
            case "transposed":
                state[key] = state[key].flatten()
            case "huge":
                state[key] = torch.zeros(1).expand(10**9, 10**3)
            case "one missing":
                del state[key]
            case "no tensors":
                state = {"a": 5}  # type: ignore[dict-item]
            case "a list":
                state = [1, 2]  # type: ignore[assignment]
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
    for name in ("NaN", "infinite", "meta", "sparse", "complex", "whole numbers", "quantised", "transposed", "one missing",
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
    for name, make in _specials("bad.pth").items():
        yield Case("weights", name, line, ("bad.pth",), make=make)


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
    "TIFF that points to itself": (_PLACE.replace("png", "tif"), b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00"),
    "WEBP of nothing": (_PLACE.replace("png", "webp"), b"RIFF\xff\xff\xff\xffWEBPVP8 "),
    "PostScript": (_PLACE.replace("png", "eps"), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"),
    "PPM without end": (_PLACE.replace("png", "ppm"), b"P6 999999999 999999999 255\n"),
    "ICO of nothing": (_PLACE.replace("png", "ico"), b"\x00\x00\x01\x00\xff\xff"),
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
    for name, make in _specials(_PLACE).items():
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
    yield Case("image", "class is a FIFO", line, make=lambda f: os.mkfifo(f / "photos/train/kiwi"), code=0)


def caches() -> Iterator[Case]:
    """An image cache that was damaged or cannot be written."""
    line = ("search", "--space", "space.yaml", "--data", "digits", "--dry-run")
    yield Case("cache", "a file", line, ("SCALER_CACHE",), environment={"SCALER_CACHE": "net.yaml"})
    yield Case("cache", "/dev/null", line, ("SCALER_CACHE",), environment={"SCALER_CACHE": "/dev/null"})
    yield Case("cache", "/proc", line, ("SCALER_CACHE",), environment={"SCALER_CACHE": "/proc/nosuch"})
