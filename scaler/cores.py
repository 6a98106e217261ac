"""How many cores a process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path


def cores() -> int:
    """CPU cores this process may use: the affinity mask, and no more than the container's quota."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, _quota(Path("/sys/fs/cgroup/cpu.max"))))


def _quota(file: Path) -> int:
    """Cores of a cgroup (version 2): ``quota period`` in microseconds, or ``max period``."""
    try:
        quota, period = file.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return 1 << 16
