"""Who runs a training, and whether that process still lives."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path


def this_process() -> str:
    """``pid@host`` of this process, and its start where the system tells, for pids are used again."""
    return f"{os.getpid()}@{socket.gethostname()}{_start(os.getpid()) or ''}"


def has_ended(process: str) -> bool:
    """Whether that process has surely ended. Of another machine's processes nothing is known."""
    process, _, place = process.partition("@")
    host, _, start = place.partition("#")
    if host != socket.gethostname() or not process.isdigit() or sys.platform == "win32":
        return False
    pid = int(process)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    now = _start(pid)
    return bool(start) and now is not None and now != f"#{start}"


def _start(pid: int) -> str | None:
    """``#`` and the start of a process in ticks (Linux); ``#0`` for one that only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "#0" if fields[0] == "Z" else f"#{fields[19]}"
