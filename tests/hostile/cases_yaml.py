"""Search spaces and network files: every key with values that are none, and YAML that is hostile itself."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.hostile.case import Case
from tests.hostile.world import NETWORK, SPACE

PLAN = ("search", "--space", "bad.yaml", "--dry-run")
COUNT = ("profile", "bad.yaml")

#: No number at all.
_NEVER = (".nan", ".inf", "-.inf", "text", "[1]", "{a: 1}", "yes", "2024-99-99", "!!int abc", "9" * 5000)
_WHOLE = (*_NEVER, "1.5", "-1", "1000000000000")
_POSITIVE = ("0",)

#: Keys of a search space with values beyond their range, and whether they are whole.
_NUMBERS: tuple[tuple[str, bool, tuple[str, ...]], ...] = (
    ("tolerance", False, ("0", "-1", "2")),
    ("up_to", False, ("0", "-1", "1e300")),
    ("seeds", True, ("0", "101")),
    ("grid.lattice", True, ("0", "61")),
    ("proxy.resolution", True, ("0", "3", "100000")),
    ("proxy.width", False, ("0", "-1", "2")),
    ("proxy.depth", False, ("0", "-1", "2")),
    ("proxy.divisor", True, ("0", "100000")),
    ("recipe.epochs", True, ("0",)),
    ("recipe.images", True, ("-5",)),
    ("recipe.batch_size", True, ("0", "100000000")),
    ("recipe.learning_rate", False, ("0", "-1", "1e30")),
    ("recipe.warmup", False, ("-0.1", "1", "2")),
    ("recipe.momentum", False, ("-0.1", "1")),
    ("recipe.weight_decay", False, ("-0.1", "1e9")),
    ("recipe.label_smoothing", False, ("-0.1", "1")),
    ("recipe.shift", False, ("-0.1", "2")),
    ("recipe.validation_images", True, ("-5",)),
    ("rounding.divisor", True, ("0", "100000")),
    ("rounding.least", False, ("-1", "2")),
    ("rounding.resolution_step", True, ("0", "100000")),
    ("se.reduction", False, ("0.5", "-1", "1e300")),
    ("limits.params", False, ("0", "-1")),
    ("limits.activations", False, ("0", "-1")),
    ("limits.memory", False, ("0", "-1")),
    ("limits.latency", False, ("0", "-1")),
)

_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("about", ("1", "[a]", "null")),
    ("base", ("5", "[a]", "''", "effnet-b99", "2024-01-01", "nosuch.yaml", "nosuch:net", "':'", "/dev/null")),
    ("budget", ("2", "''", "0x", "-2x", "1x", "[2x]", ".inf", f"'{'9' * 400}x'", "'1e400x'", "'0.00001x'",
                "'100000000x'", "'1'", "'2xx'")),
    ("data", ("''", "nosuch", "folder", "'folder:'", "'folder:nosuch'", "'folder:/dev/null'", "[digits]",
        "5")),
    ("strategy", ("''", "nosuch", "asha@nan", "asha@-1", "law@2", "law@0", "law@inf", "law@", "'law@1e-300'",
                  "exhaustive@0.5", "[law]", "'@0.2'", "law@0.1@0.2")),
    ("proxy.flops", ("''", "2x", "-1", "0", "1e400M", "[2M]")),
    ("proxy.upsample", ("2", "text", "[true]")),
    ("recipe.flip", ("2", "text")),
    ("recipe.regularise", ("2", "text")),
    ("recipe.optimiser", ("1", "adam", "[sgd]", "''")),
    ("rounding.depth", ("up", "1")),
    ("se.position", ("top", "1")),
    ("se.skip_last_stage", ("2", "text")),
    ("rungs", ("[]", "[2, 1]", "[1, 1]", "[0]", "[-1]", "[1.5]", "1", "text", "[.inf]", "[yes]", "null",
        "[2]")),
    ("grid", ("{}", "5", "null", "{lattice: 2, step: 0.1}", "{step: 0.1}")),
    ("proxy", ("{}", "5", "{resolution: 8}", "{resolution: 8, width: 1, flops: 2M}", "null")),
    ("recipe", ("5", "[1]", "null")),
    ("limits", ("5", "[1]")),
    ("se", ("5", "[1]")),
)  # fmt: skip

#: Rectangular grids: ``alpha, beta, gamma, step``.
_GRIDS = {
    "steps without end": ("[1, 2]", "[1, 2]", "[1, 2]", "1e-9"),
    "points by the million": ("[1, 50]", "[1, 50]", "[1, 50]", "0.1"),
    "infinite bound": ("[1, .inf]", "[1, 2]", "[1, 2]", "0.5"),
    "nan bound": ("[1, 2]", "[.nan, 2]", "[1, 2]", "0.5"),
    "backwards": ("[2, 1]", "[1, 2]", "[1, 2]", "0.5"),
    "zero bound": ("[0, 1]", "[1, 2]", "[1, 2]", "0.5"),
    "huge bound": ("[1, 1e300]", "[1, 2]", "[1, 2]", "1e299"),
    "tiny step": ("[1, 2]", "[1, 2]", "[1, 2]", "1.0e-150"),
    "smallest step": ("[1, 2]", "[1, 2]", "[1, 2]", "1.0e-320"),
    "zero step": ("[1, 2]", "[1, 2]", "[1, 2]", "0"),
    "nan step": ("[1, 2]", "[1, 2]", "[1, 2]", ".nan"),
    "infinite step": ("[1, 2]", "[1, 2]", "[1, 2]", ".inf"),
    "one bound": ("[1]", "[1, 2]", "[1, 2]", "0.5"),
    "opposite directions": ("[0.5, 2]", "[1, 2]", "[1, 2]", "0.5"),
}


def space_text(key: str, value: str) -> str:
    """The small space with one key's value, given as YAML text, put in its place."""
    content: dict[str, Any] = copy.deepcopy(SPACE)
    *parents, last = key.split(".")
    inner = content
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = "HERE"
    return yaml.safe_dump(content, sort_keys=False).replace("HERE", value)


def _space(key: str, value: str) -> Case:
    last = key.split(".")[-1]
    return Case(
        "space",
        f"{key}: {value[:20]}",
        PLAN,
        says=("bad.yaml, line [0-9]+|line [0-9]+", last),
        make=writes("bad.yaml", space_text(key, value)),
    )


def writes(name: str, text: str | bytes) -> Callable[[Path], None]:
    """Puts a file into the case's folder."""
    content = text.encode() if isinstance(text, str) else text

    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return make


def spaces() -> Iterator[Case]:
    """Every key of a search space."""
    for index, (key, whole, beyond) in enumerate(_NUMBERS):
        never = _WHOLE if whole else _NEVER
        # Every key gets four of them, the next key the next four; what each key has of its own, always.
        for value in (*(never[(4 * index + step) % len(never)] for step in range(4)), *beyond):
            yield _space(key, value)
    for key, values in _TEXTS:
        for value in values:
            # What only the world can tell (is there such a base, such a data set?) names no line.
            yield (
                _space(key, value)
                if key not in ("base", "data")
                else Case(
                    "space", f"{key}: {value[:20]}", PLAN, make=writes("bad.yaml", space_text(key, value))
                )
            )
    for name, (alpha, beta, gamma, step) in _GRIDS.items():
        grid = f"{{alpha: {alpha}, beta: {beta}, gamma: {gamma}, step: {step}}}"
        yield Case("space", f"grid, {name}", PLAN, make=writes("bad.yaml", space_text("grid", grid)))
    text = yaml.safe_dump(SPACE, sort_keys=False)
    for wrong, near in (("seads: 2", "seeds"), ("recipe:\n  epoch: 1", "epochs"), ("Budget: 2x", "budget")):
        yield Case(
            "space", f"misspelt {wrong[:8]}", PLAN, ("did you mean", near),
            make=writes("bad.yaml", wrong + "\n" + "".join(
                part for part in text.splitlines(keepends=True)
                if not (wrong.startswith("recipe") and ("recipe" in part or part.startswith("  epochs")
                        or part.startswith("  images") or part.startswith("  batch")
                        or part.startswith("  validation"))))),
        )  # fmt: skip


#: YAML that is hostile whatever it is read as.
FORMATS: dict[str, bytes] = {
    "empty": b"",
    "only a comment": b"# nothing\n",
    "a list": b"- 1\n- 2\n",
    "a word": b"word\n",
    "not UTF-8": b"about: caf\xe9\n",
    "UTF-16": "about: x\n".encode("utf-16"),
    "NUL bytes": b"about: a\x00b\n",
    "escape characters": b"about: \x1b[31mred\n",
    "alias bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 107)),
    "refers to itself": b"about: &a [*a]\n",
    "mapping refers to itself": b"&a\nabout: *a\n",
    "3000 deep": b"about: " + b"[" * 3000 + b"]" * 3000 + b"\n",
    "3000 deep mappings": b"about: " + b"{a: " * 3000 + b"1" + b"}" * 3000 + b"\n",
    "duplicate key": b"about: x\nseeds: 2\nseeds: 3\n",
    "duplicate key inside": b"about: x\nproxy: {resolution: 8, resolution: 16, width: 1}\n",
    "unknown alias": b"about: *nosuch\n",
    "bad indentation": b"about: x\n   seeds: 3\n",
    "unclosed": b"about: [1, 2\n",
    "tab": b"about: x\n\tseeds: 3\n",
    "two documents": b"about: x\n---\nabout: y\n",
    "Python object": b"about: !!python/object/apply:os.system ['touch owned']\n",
    "Python name": b"about: !!python/name:os.system\n",
    "unknown tag": b"about: !mine x\n",
    "bad integer": b"about: !!int abc\n",
    "bad float": b"about: !!float abc\n",
    "bad bool": b"about: !!bool abc\n",
    "bad timestamp": b"about: !!timestamp abc\n",
    "bad date": b"about: 2024-99-99\n",
    "bad binary": b"about: !!binary 'x'\n",
    "a set": b"about: !!set {a, b}\n",
    "unhashable key": b"? [a, b]\n: 1\n",
    "mapping as key": b"? {a: b}\n: 1\n",
    "number as key": b"1: 2\n",
    "null key": b"~: 2\n",
    "merge of a number": b"<<: 5\nabout: x\n",
    "huge number": b"about: x\nseeds: " + b"9" * 100_000 + b"\n",
    "huge text": b"about: " + b"x" * 20_000_000 + b"\n",
    "image": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
}  # fmt: skip

_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("space", PLAN),
    ("printed space", ("spaces", "bad.yaml")),
    ("network", COUNT),
)


def formats() -> Iterator[Case]:
    """Every hostile format in every place that reads YAML."""
    for where, line in _PLACES:
        for name, content in FORMATS.items():
            if where == "printed space" and name in ("number as key", "bad date"):
                continue
            yield Case(f"yaml: {where}", name, line, ("bad.yaml",), make=writes("bad.yaml", content),
                       code=0 if where == "printed space" and name == "image?" else 2)  # fmt: skip
        yield Case(
            f"yaml: {where}", "a directory", line, ("bad.yaml",), make=lambda f: (f / "bad.yaml").mkdir()
        )
        yield Case(f"yaml: {where}", "a FIFO", line, ("bad.yaml",), make=lambda f: os.mkfifo(f / "bad.yaml"))
        yield Case(
            f"yaml: {where}", "/dev/zero", line, ("bad.yaml",),
            make=lambda f: (f / "bad.yaml").symlink_to("/dev/zero"),
        )  # fmt: skip
        yield Case(
            f"yaml: {where}", "looping link", line, ("bad.yaml",),
            make=lambda f: (f / "bad.yaml").symlink_to("bad.yaml"),
        )  # fmt: skip
        yield Case(
            f"yaml: {where}", "broken link", line, ("bad.yaml",),
            make=lambda f: (f / "bad.yaml").symlink_to("nosuch.yaml"),
        )  # fmt: skip


_BLOCK = "  - {block: mbconv, depth: 2, width: 24, stride: 2, expand: 4, se: {reduction: 4}}"

#: Of a network: a field of its stage, with hostile values.
_STAGE: dict[str, tuple[str, ...]] = {
    "block": ("nosuch", "1", "[mbconv]", "null", "__class__"),
    "depth": ("0", "-1", "1000000000", "1.5", "yes", ".inf", "text"),
    "width": ("-1", "0", "1000000000", "1.5", "yes", ".nan"),
    "stride": ("0", "-1", "1000000", "1.5", "64"),
    "kernel": ("0", "-3", "2", "4", "1001", "1.5"),
    "expand": ("-1", ".inf", ".nan", "1e300", "text", "yes"),
    "group_width": ("-1", "7", "1.5", "1000000000"),
    "branches": ("[-1]", "[0]", "[1.5]", "5", "[.inf]"),
    "se": ("5", "{reduction: 0}", "{reduction: -1}", "{reduction: .nan}", "{reduction: .inf}",
           "{position: top}", "{nosuch: 1}"),
    "valid": ("2", "text"),
    "fixed": ("2", "text"),
    "nosuch": ("1",),
}  # fmt: skip

_NETWORK: dict[str, tuple[str, ...]] = {
    "name": ("5", "[a]", "''", "null", '"a\\u001b[31m"'),
    "resolution": ("0", "-1", "100000", "1.5", ".inf", "yes"),
    "classes": ("0", "-1", "1000000000000", "1.5", "yes"),
    "stages": ("[]", "5", "null", "[5]"),
    "stem": ("5", "[5]"),
    "head": ("5", "{hidden: [-1]}", "{hidden: [0]}", "{hidden: [1000000000000]}", "{width: -1}", "{pool: 0}",
             "{pool: 100000}", "{dropout: 1}", "{dropout: -0.1}", "{dropout: .nan}",
                 "{width: 1000000000000}"),
    "style": ("5", "{activation: nosuch}", "{norm_eps: 0}", "{norm_eps: .inf}", "{norm_eps: .nan}",
              "{norm_momentum: 2}", "{drop_path: 1}", "{drop_path: .nan}", "{conv_bias: 5}"),
}  # fmt: skip


def networks() -> Iterator[Case]:
    """Every key of a network file."""
    for key, values in _STAGE.items():
        for value in values:
            fields = {
                "block": "mbconv",
                "depth": "2",
                "width": "24",
                "stride": "2",
                "expand": "4",
                key: value,
            }
            stage = "  - {" + ", ".join(f"{name}: {given}" for name, given in fields.items()) + "}"
            text = NETWORK.replace(_BLOCK, stage)
            yield Case(
                "network", f"stage {key}: {value}", COUNT, ("bad.yaml", "line"), make=writes("bad.yaml", text)
            )
    for key, values in _NETWORK.items():
        kept = "".join(
            line for line in NETWORK.splitlines(keepends=True)
            if not line.startswith(key) and not (key in ("stem", "stages") and line == _part(key))
        )  # fmt: skip
        for value in values:
            yield Case(
                "network", f"{key}: {value}", COUNT, ("bad.yaml", "line"),
                make=writes("bad.yaml", f"{kept}{key}: {value}\n"),
            )  # fmt: skip
    many = NETWORK.replace(_BLOCK, "\n".join([_BLOCK.replace("stride: 2", "stride: 1")] * 5000))
    yield Case("network", "5000 stages", COUNT, ("bad.yaml",), make=writes("bad.yaml", many))
    wide = NETWORK.replace("width: 24", "width: 60000").replace("width: 16", "width: 60000")
    yield Case(
        "network", "too large to search", ("search", "--base", "bad.yaml", "--space", "space.yaml",
            "--dry-run"),
        ("tiny|bad.yaml",), make=writes("bad.yaml", wide),
    )  # fmt: skip


def _part(key: str) -> str:
    lines = NETWORK.splitlines(keepends=True)
    return lines[lines.index(f"{key}:\n") + 1]
