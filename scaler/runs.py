"""The directory of a run: what was asked, with what it ran, and its files.

It knows nothing of searches: a run has a kind, a configuration (plain data) and files.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import socket
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import yaml
from pydantic import BaseModel, Field

from scaler.checked import Whole
from scaler.errors import PassedOverWarning, UserError
from scaler.files import csv_text, plain, reported, write_bytes
from scaler.version import __version__
from scaler.yaml_files import checked, read

if TYPE_CHECKING:
    from pandas import DataFrame

RUN_FILE = "run.yaml"

#: Of a run's configuration and files; one that is not finished goes on under its own only.
SCHEMA = 3

#: Bytes of a run's name; with what is added for files beside it, a folder's name.
LONGEST_NAME = 120

#: Libraries whose versions can change a result.
LIBRARIES = ("torch", "numpy", "optuna", "fvcore", "scipy", "pandas")


@dataclass(frozen=True)
class Run:
    """One directory of ``results/``, as its ``run.yaml`` tells it.

    Attributes:
        path: the directory.
        kind: what wrote it, e.g. ``search``.
        configuration: everything that decides the result, as plain data.
        finished: when it was done, in ISO format (UTC); empty while it is not.
        schema: version of its configuration and files.
        created: when it was begun, in ISO format (UTC).
    """

    path: Path
    kind: str
    configuration: Mapping[str, Any]
    finished: str = ""
    schema: int = SCHEMA
    created: str = ""

    @property
    def current(self) -> bool:
        """Whether it was written by a version that this one can go on from."""
        return self.schema == SCHEMA

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.path.name

    def file(self, name: str) -> Path:
        """The path of one of its files; the folder it lies in is created."""
        path = self.path / name
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file, atomically."""
        return write_bytes(self.file(name), text.encode())

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file, atomically; NaN is an error, for no other program reads it."""
        return self.write_text(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def write_csv(self, name: str, table: DataFrame, formats: Mapping[str, str] | None = None) -> Path:
        """Write a table as CSV, atomically.

        Args:
            name: of the file.
            table: its index is not written.
            formats: format of each float column, e.g. ``{"accuracy": ".6f"}``; others get ``.10g``.
        """
        return self.write_text(name, csv_text(table, formats))

    def finish(self) -> None:
        """Note in ``run.yaml`` that the run is done; of one that was, what follows takes it as the newest."""
        record = _record(self.path)
        record["finished"] = _now()
        _write_record(self.path, record)


# --- opening ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_run(
    results: Path, name: str, kind: str, configuration: Mapping[str, Any], *, device: str = ""
) -> Iterator[Run]:
    """Create a run, or go on with it, and keep other processes out of it meanwhile.

    Args:
        results: the folder of all runs; created if need be.
        name: of the run's directory.
        kind: e.g. ``search``.
        configuration: plain data (what JSON holds): all that decides the result, with the seed and the
            fingerprint of the data.
        device: what it runs on, in words, for ``run.yaml``.

    Raises:
        UserError: the folder cannot be written, the name is no file name, another process drives the
            run, or a run of that name has another kind or configuration.
        MachineError: the disk is full.
    """
    check_name(name)
    path = results / name
    with reported(path):
        path.mkdir(parents=True, exist_ok=True)
    with _only_driver(path):
        asked = plain(configuration)
        if (path / RUN_FILE).exists():
            run = load_run(path)
            _check_same(run, kind, asked)
        else:
            _write_record(path, _new_record(name, kind, asked, device))
            run = Run(path, kind, asked)
        yield run


def load_run(path: Path) -> Run:
    """A run that exists, to read from.

    Raises:
        UserError: there is none, or its ``run.yaml`` cannot be read.
    """
    record = _record(path)
    return Run(
        path,
        record["kind"],
        record["configuration"],
        record["finished"] or "",
        record.get("schema", 1),
        record["created"],
    )


def all_runs(results: Path, kind: str) -> list[Run]:
    """The runs of a kind, oldest first.

    One whose ``run.yaml`` cannot be read is passed over, with a :class:`PassedOverWarning` that names it.
    """
    return [run for run in every_run(results) if run.kind == kind]


def every_run(results: Path) -> list[Run]:
    """The runs of all kinds, oldest first; what cannot be read is passed over as :func:`all_runs` does."""
    found = []
    for file in sorted(folder / RUN_FILE for folder in results.glob("*")):
        if not os.path.lexists(file):  # a link that leads nowhere is one that cannot be read
            continue
        try:
            run = load_run(file.parent)
            if "space" not in run.configuration:
                raise UserError(f"the configuration in {file} has no search space")
            found.append(run)
        except UserError as error:
            warnings.warn(f"a run is passed over: {error}", PassedOverWarning, stacklevel=2)
    return sorted(found, key=lambda run: (run.created, run.name))


def newest_finished(results: Path, kind: str = "search", *, trained: bool = False) -> Run | None:
    """The run of a kind that was done last, if there is one; not one that was only counted if ``trained``."""
    done = (run for run in all_runs(results, kind) if run.finished)
    fitting = (run for run in done if not trained or run.configuration.get("train", True))
    return max(fitting, key=lambda run: run.finished, default=None)


def find_unfinished(results: Path, configuration: Mapping[str, Any], kind: str = "search") -> Run | None:
    """The newest run of a kind with this very configuration that was not finished, if there is one."""
    asked = plain(configuration)
    alike = [
        run
        for run in all_runs(results, kind)
        if run.current and not run.finished and run.configuration == asked
    ]
    return alike[-1] if alike else None


def default_name(results: Path, base: str, budget: str) -> str:
    """A name that is free: base, budget and local time, e.g. ``effnet-b0-2x-0421-1530``."""
    stem = re.sub(r"[^\w.-]+", "-", f"{Path(base).stem if '/' in base else base}-{budget}").strip("-.")[:80]
    name = f"{stem}-{datetime.now():%m%d-%H%M}"
    number = 2
    free = name
    while (results / free).exists():
        free, number = f"{name}-{number}", number + 1
    return free


def check_name(name: str) -> None:
    """Refuse what is no name for a run's folder.

    Raises:
        UserError: it is too long, or holds more than letters, digits and ``. _ + -``.
    """
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        raise UserError(f"--name {name[:20]}... has {len(name)} characters: use no more than {LONGEST_NAME}.")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise UserError(f"--name {name!r} is no name for a folder: use letters, digits and . _ + - only.")


def _check_same(run: Run, kind: str, asked: Mapping[str, Any]) -> None:
    if run.kind != kind:
        raise UserError(f"{run.path} holds a {run.kind}, not a {kind}: choose another --name.")
    if not run.current:
        raise UserError(
            f"{run.path} was begun by another version of Scaler, which alone can go on with it: "
            "choose another --name, or remove it."
        )
    differences = list(_differences(run.configuration, asked))
    if differences:
        shown = "; ".join(differences[:5]) + ("; ..." if len(differences) > 5 else "")
        raise UserError(
            f"{run.path} was made with another configuration ({shown}): choose another --name, or remove it."
        )


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
    elif old != new:
        yield f"{key} was {json.dumps(old)}, now {json.dumps(new)}"


@contextlib.contextmanager
def _only_driver(path: Path) -> Iterator[None]:
    """Hold the run's lock. The kernel frees it when its holder dies, so it is never stale."""
    lock = filelock.FileLock(path / ".lock", timeout=0)
    driver = path / ".driver"
    with reported(path):
        try:
            lock.acquire()
        except filelock.Timeout:
            who = driver.read_text() if driver.exists() else "another process"
            raise UserError(
                f"{path} is being run by {who}: wait for it, stop it, or choose another --name."
            ) from None
    try:
        write_bytes(driver, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        driver.unlink(missing_ok=True)
        lock.release()


# --- run.yaml --------------------------------------------------------------------------------------------


def _new_record(name: str, kind: str, configuration: Mapping[str, Any], device: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "schema": SCHEMA,
        "created": _now(),
        "finished": None,
        "configuration": dict(configuration),
        "versions": versions(),
        "hardware": {**hardware(), "device": device},
        "source": source_revision(),
    }


class _Space(BaseModel):
    """What every configuration says of its search space."""

    base: str


class _Configuration(BaseModel):
    space: _Space | None = None


class _Record(BaseModel):
    """What ``run.yaml`` holds at the least."""

    kind: str
    created: str
    finished: str | None
    configuration: _Configuration
    version: Whole = Field(1, alias="schema")


def _record(path: Path) -> dict[str, Any]:
    if not os.path.lexists(path / RUN_FILE):
        raise UserError(f"{path} is no run: it has no {RUN_FILE}.")
    document = read(path / RUN_FILE)
    checked(document, _Record, str(path / RUN_FILE))
    return document.content


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    write_bytes(path / RUN_FILE, yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=True).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def versions() -> dict[str, str]:
    """Versions of Scaler, Python and the libraries that can change a result."""
    found = {"scaler": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found


def hardware() -> dict[str, Any]:
    """The processor, and how many of its cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    count = len(allowed(0)) if allowed else os.cpu_count() or 1
    return {"system": platform.platform(), "processor": _processor(), "cores": count}


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def source_revision() -> str:
    """The git commit that this code stands in (``+`` where it was edited), or the package's version."""
    package = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(package), *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "--", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return __version__
