"""Files of runs, and tables, that were cut, edited, or never ours."""

from __future__ import annotations

import json
import os
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
GARBAGE: dict[str, bytes] = {
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


def specials(name: str) -> dict[str, Callable[[Path], None]]:
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
    for name, content in GARBAGE.items():
        yield Case(
            "coefficients", name, SCALE, says, make=writes(f"{_ONE}coefficients.json", content), runs=True
        )
    for name, make in specials(f"{_ONE}coefficients.json").items():
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
    again = ("search", "--space", "space.yaml", "--name", "one", "--workers", "1")
    # A last line without an end was being written when its writer was killed; others are damaged.
    damaged = {name: writes(f"{_ONE}study.log", content + b"\nx\n") for name, content in GARBAGE.items()}
    for name, make in {**damaged, **specials(f"{_ONE}study.log")}.items():
        if name not in ("empty", "a broken link"):
            yield Case(
                "cut", f"study.log: {name}", again, ("study.log",), make=make, runs=True, writes=f"^{_ONE}"
            )
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
                make=writes(f"results/{table}", GARBAGE[name]),
                runs=True,
            )
        for name, make in specials(f"results/{table}").items():
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
                "trials": {"candidate": ("-1", "99", "1.5", "inf"), "accuracy": ("2", "inf", "-1"),
                    "epochs": ("-1", "x"),
                           "rung": ("-1",), "seed_index": ("-1", "inf"), "loss": ("-inf", "x")},
                "candidates": {"candidate": ("-1", "inf", "1.5"), "flops": ("inf", "-1"),
                    "feasible": ("maybe",),
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


_STUDY = '{"op_code":0,"worker_id":"x","study_name":"one","directions":[2]}\n'
_TRIAL = {
    "op_code": 4,
    "worker_id": "x",
    "study_id": 0,
    "datetime_start": None,
    "state": 1,
    "value": 0.5,
    "user_attrs": {"spec": [0, 0, 0], "evaluations": [[1, 64, 1000, 0.5, 1.5, 0.1, False, 0, False]]},
}

#: Journals of records, of which the last says what nobody can have written.
_JOURNALS = {
    "unknown operation": _STUDY.replace('"op_code":0', '"op_code":99'),
    "no directions": _STUDY.replace("directions", "destinations"),
    "odd state": _STUDY + json.dumps({**_TRIAL, "state": 99}) + "\n",
    "odd date": _STUDY + json.dumps({**_TRIAL, "datetime_start": "yesterday"}) + "\n",
    "no evaluations": _STUDY + json.dumps({**_TRIAL, "user_attrs": {"spec": [0, 0, 0]}}) + "\n",
    "short spec": _STUDY + json.dumps(_TRIAL).replace("[0, 0, 0]", "[0, 0]") + "\n",
    "accuracy 5": _STUDY + json.dumps(_TRIAL).replace("1000, 0.5", "1000, 5.0") + "\n",
    "accuracy of text": _STUDY + json.dumps(_TRIAL).replace("1000, 0.5", '1000, "x"') + "\n",
}


def journals() -> Iterator[Case]:
    """``study.log`` of records that were edited."""
    line = ("search", "--space", "space.yaml", "--name", "one", "--workers", "1")
    for name, text in _JOURNALS.items():
        yield Case(
            "study", name, line, ("study.log is damaged: put back",), make=writes(f"{_ONE}study.log", text),
            runs=True, writes=f"^{_ONE}",
        )  # fmt: skip


_RUN = "kind: search\ncreated: '2024-01-01T00:00:00'\nfinished: '2999-01-01T00:00:00+00:00'\nschema: 3\n"

#: What a bad run.yaml among good ones may hold.
_BAD_RUNS: dict[str, bytes] = {
    **{name: FORMATS[name] for name in ("empty", "a list", "not UTF-8", "NUL bytes", "alias bomb",
        "refers to itself",
                                        "3000 deep", "huge text", "Python object", "bad date",
                                            "unclosed", "image")},
    "empty configuration": f"{_RUN}configuration: {{}}\n".encode(),
    "configuration of text": f"{_RUN}configuration: x\n".encode(),
    "null configuration": f"{_RUN}configuration:\n".encode(),
    "space of text": f"{_RUN}configuration: {{space: x}}\n".encode(),
    "space without a base": f"{_RUN}configuration: {{space: {{}}}}\n".encode(),
    "bad date inside": f"{_RUN}configuration: {{a: 2024-99-99}}\n".encode(),
    "kind of list": _RUN.replace("search", "[1]").encode() + b"configuration: {a: 1}\n",
    "finished of numbers": b"kind: search\ncreated: 1\nfinished: 5\nconfiguration: {a: 1}\n",
    "finished mapping": b"kind: search\ncreated: x\nfinished: {}\nconfiguration: {space: {base: x}}\n",

    "real date": b"kind: search\ncreated: 2024-01-01\nfinished: 2024-01-02\n"
    b"configuration: {space: {base: x}}\n",
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
                f"bad run, {command}", name, line, warned, make=writes("results/bad/run.yaml", content),
                    code=0,
                runs=True, writes=r"^results/grown/",
            )  # fmt: skip
        for name, make in specials("results/bad/run.yaml").items():
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
    for name, content in GARBAGE.items():
        yield Case("table", name, line, ("bad.csv",), make=writes("bad.csv", content))
    for name, make in specials("bad.csv").items():
        yield Case("table", name, line, ("bad.csv|candidates.csv",), make=make)
    good = {"candidate": "0", "share_depth": "1.0", "share_width": "0.0", "share_resolution": "0.0",
        "seed_index": "0",
            "epochs": "1", "images": "64", "train_flops": "1000", "accuracy": "0.5",
                "loss": "1.5"}  # fmt: skip
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
    rows = [",".join((good | {"candidate": candidate}).values()) + "\n" for candidate in "011"]
    again = TABLE + "".join(rows)
    yield Case("table", "a row twice", line, ("bad.csv", "twice"), make=writes("bad.csv", again))

    def cut(folder: Path) -> None:
        (folder / "bad.csv").write_bytes((folder / "table.csv").read_bytes()[:-8])

    yield Case("table", "cut mid-row", line, ("bad.csv",), make=cut)

    def once(folder: Path) -> None:
        rows = (folder / "table.csv").read_text().splitlines()
        (folder / "bad.csv").write_text("".join(f"{row}\n" for row in rows if ".0,1," not in row))

    yield Case("table", "one seed", line, ("bad has one seed", "--seeds 2"), make=once)
    three = [{**good, "candidate": str(c)} for c in range(3)]
    kinds = {name: [{**row, **more} for row in three] for name, more in {
        "kind alone": {"kind": "off"},
        "kind without octaves": {"kind": "off", "network": "n"},
    }.items()}  # fmt: skip
    for name, cells_of in kinds.items():
        text = "\n".join([",".join(cells_of[0]), *(",".join(row.values()) for row in cells_of)]) + "\n"
        lacks = ("bad.csv", "lacks '(network|octave_depth)'")
        yield Case("table", name, line, lacks, make=writes("bad.csv", text))
    shares = TABLE + "".join(",".join({**row, "share_depth": "0.5"}.values()) + "\n" for row in three)
    says = ("bad.csv", "candidate 0", "sum to 1")
    yield Case("table", "shares that sum to a half", line, says, make=writes("bad.csv", shares))
