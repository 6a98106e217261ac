"""What machines do to a search: a disk that is really full, clocks that jump, others that begin at once."""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest

from scaler.errors import MachineError
from scaler.execution.executors.in_process import InProcess
from scaler.execution.protocol import Observation
from scaler.execution.study import Study
from tests.execution import toy_search
from tests.execution.toy import Toy, noted
from tests.execution.toy_search import lead


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_a_search_on_a_full_disk_goes_on_once_there_is_room(
    storage: str, disk: Path, tmp_path: Path, undisturbed: list[Observation]
) -> None:
    """Trainings and their checkpoints lie elsewhere: what fills is the disk of the study."""
    filler = disk / "filler"

    def fill(done: float, total: float) -> None:
        if done and not filler.exists():
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

    with pytest.raises(MachineError, match=r"the disk is full|database or disk is full"):
        lead(InProcess(Toy(tmp_path)), storage, disk, on_progress=fill)
    filler.unlink()
    assert lead(InProcess(Toy(tmp_path)), storage, disk) == undisturbed
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0], ids=["back", "forth"])
def test_a_clock_that_jumps_a_day_at_every_look_changes_nothing(
    step: float, tmp_path: Path, undisturbed: list[Observation], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def jumping() -> float:
        looks.append(step)
        return 1.7e9 + sum(looks)

    monkeypatch.setattr(time, "time", jumping)
    assert toy_search.run("sqlite", tmp_path, workers=2) == undisturbed
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}


def test_searches_that_begin_at_once_share_a_new_database(tmp_path: Path) -> None:
    """As those of a job array do: each finds no tables, and makes them."""
    names = [f"search-{number}" for number in range(4)]
    where, ready = f"sqlite:///{tmp_path}/studies.db", threading.Barrier(len(names))

    def begin(name: str) -> str:
        ready.wait()
        with Study.open(where, name) as study:
            return f"{name} {len(study.observations())}"

    with ThreadPoolExecutor(len(names)) as threads:
        assert list(threads.map(begin, names)) == [f"{name} 0" for name in names]
    assert sorted(optuna.get_all_study_names(where)) == names
