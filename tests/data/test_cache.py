from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scaler.data import cache
from scaler.errors import MachineError, UserError


def chunks(value: int, count: int = 6, resolution: int = 4) -> Callable[[], Iterator[NDArray[np.uint8]]]:
    def draw() -> Iterator[NDArray[np.uint8]]:
        for _ in range(count // 2):
            yield np.full((2, resolution, resolution, 3), value, dtype=np.uint8)

    return draw


def test_an_entry_is_made_once_and_memory_mapped() -> None:
    first = cache.images("set/train", 6, 4, chunks(7))
    again = cache.images("set/train", 6, 4, chunks(9))
    assert isinstance(again, np.memmap)
    assert first.shape == (6, 4, 4, 3)
    assert (again == 7).all()


def test_writing_to_the_mapping_leaves_the_file_alone() -> None:
    cache.images("set/train", 6, 4, chunks(7))[:] = 0
    assert (cache.images("set/train", 6, 4, chunks(9)) == 7).all()


def failing(error: BaseException) -> Iterator[NDArray[np.uint8]]:
    yield np.zeros((2, 4, 4, 3), dtype=np.uint8)
    raise error


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), MachineError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (UserError("an image is broken"), UserError),
    ],
)
def test_nothing_half_written_stays(
    own_cache: Path, error: BaseException, reported: type[BaseException]
) -> None:
    with pytest.raises(reported):
        cache.images("set/train", 6, 4, lambda: failing(error))
    assert list((own_cache / "set").iterdir()) == []
    assert (cache.images("set/train", 6, 4, chunks(7)) == 7).all()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_the_machines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real error of a real full device, not a pretended one."""
    monkeypatch.setattr(tempfile, "mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), "/nowhere/x"))
    with pytest.raises(MachineError, match="disk is full"):
        cache.images("set/train", 6, 64, chunks(7, resolution=64))


def test_a_cache_that_cannot_be_written_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="SCALER_CACHE"):
        cache.images("set/train", 6, 4, chunks(7))


def test_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.directory() == tmp_path / "cache"
    monkeypatch.delenv("SCALER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.directory() == tmp_path / "scaler"


def _write(value: int) -> tuple[tuple[int, ...], int, int]:
    array = cache.images("set/both", 64, 32, chunks(3, 64, 32))
    return array.shape, int(array.min()), int(array.max())


def test_two_processes_may_write_the_same_entry(own_cache: Path) -> None:
    with get_context("spawn").Pool(2) as pool:
        assert pool.map(_write, range(4), chunksize=1) == [((64, 32, 32, 3), 3, 3)] * 4
    assert [path.name for path in (own_cache / "set").iterdir()] == ["both.npy"]
