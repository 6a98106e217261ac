"""How two ways of doing a thing compare: in turns, in one run, in processor time.

Everything measured here runs on one thread, so its processor time is the time it takes on a quiet machine;
a busy machine spoils wall time alone. What other processes do to caches and memory is shared by both ways.
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

REPEATS = 5

#: Does its work once and gives the processor time it took, in seconds.
Timed = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        group: of the benchmarks.
        what: is measured.
        baseline: what it is held against.
        ratio: how many times faster (or smaller) than the baseline: median over the repeats.
        low, high: smallest and largest of the repeats.
        value: the measured quantity itself, in ``unit``; only comparable on one machine.
        note: what a reader must know.
    """

    group: str
    what: str
    baseline: str
    ratio: float
    low: float
    high: float
    value: float
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Ratio:
    """Times as fast as the baseline, and the median seconds of both."""

    median: float
    low: float
    high: float
    seconds: float
    baseline_seconds: float

    def row(self, group: str, what: str, baseline: str, value: float, unit: str, note: str = "") -> Row:
        """As a line of the table."""
        middle, low, high = (round(number, 3) for number in (self.median, self.low, self.high))
        return Row(group, what, baseline, middle, low, high, float(f"{value:.4g}"), unit, note)


def ratio(one: Timed, baseline: Timed, repeats: int = REPEATS) -> Ratio:
    """How many times faster one is than the baseline; they take turns, a first one is not counted."""
    one(), baseline()
    pairs = [(one(), baseline()) for _ in range(repeats)]
    ratios = [theirs / ours for ours, theirs in pairs]
    ours, theirs = (median(seconds) for seconds in zip(*pairs, strict=True))
    return Ratio(median(ratios), min(ratios), max(ratios), ours, theirs)


def timed(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> Timed:
    """Work of this process."""

    def once() -> float:
        started = clock()
        work()
        return clock() - started

    return once


def program(*arguments: str) -> Timed:
    """A Python program of its own, from its start to its end, and all its children."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return once


@contextmanager
def elsewhere(make: Callable[[], Callable[[], object]]) -> Iterator[Timed]:
    """Work that is made and done in a process of its own, for what is set for a whole process.

    Args:
        make: a function of a module, or a partial of one.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make), daemon=True)
    process.start()

    def once() -> float:
        ours.send(True)
        return float(ours.recv())

    try:
        yield once
    finally:
        ours.send(False)
        process.join()


def _serve(pipe: Connection, make: Callable[[], Callable[[], object]]) -> None:
    work = timed(make())
    while pipe.recv():
        pipe.send(work())
