"""Processes that a process started: Linux knows them, and what they took."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def children(pid: int) -> list[int]:
    """Of a process; none if it is gone."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendants(pid: int) -> list[int]:
    """Its children, and theirs: workers are forked from a server that their leader started."""
    found = children(pid)
    return found + [further for child in found for further in descendants(child)]


def processor_seconds(pid: int) -> float:
    """What a process has taken, with its children that have ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0
