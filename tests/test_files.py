"""Reading files: no more of them than is allowed, and a sentence for what is none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from scaler.errors import UserError
from scaler.files import read_bytes


def test_a_file_that_is_too_large_is_not_read_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 1 << 40)
    before = Path("/proc/self/io")
    if not before.exists():
        pytest.skip("only Linux counts what a process has read")

    def read() -> int:
        return int(re.search(r"rchar: (\d+)", before.read_text())[1])  # type: ignore[index]

    at_first = read()
    with pytest.raises(UserError, match="larger than 1,024 KiB"):
        read_bytes(path, 1 << 20)
    assert read() - at_first < 1 << 18


def test_the_largest_file_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2048)
    assert len(read_bytes(path, 2048)) == 2048
    with pytest.raises(UserError, match="larger than 1 KiB"):
        read_bytes(path, 2047)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")
def test_a_file_without_a_size_is_read_up_to_the_limit() -> None:
    maps = Path("/proc/self/maps")
    assert maps.stat().st_size == 0
    assert b"[stack]" in read_bytes(maps)
    with pytest.raises(UserError, match="larger than 1 KiB"):
        read_bytes(maps, 1024)


def test_a_pipe_is_told_in_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"^cannot read \S+/pipe: it is a pipe; give a file$"):
        read_bytes(tmp_path / "pipe")
