"""The time that a plan announces against the time it takes: ``python -m tests.benchmarks.time_estimates``.

Ten searches and scalings, each in a process of its own, from the line ``Plan`` to its end. Beside the seconds
of the clock stand those that an otherwise idle machine would take, by the processor's time: the leader's, and
its workers' over the cores that they share. On a busy machine only these can be compared. The first run of
all also fills the cache of images, so run it twice.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tests.hostile import world

TARGET = Path("results/reference/time-estimates.csv")

_SMALL = ("search", "--space", "smoke")
_COUNTED = ("--compare", "none", "--seeds", "2")

#: Each with its workers; ``{here}`` is a folder with a network, images and the searches' results.
COMMANDS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (1, (*_SMALL, "--base", "resnet-20", "--data", "digits")),
    (2, (*_SMALL, "--base", "resnet-20", "--data", "digits", "--strategy", "exhaustive")),
    (2, (*_SMALL, "--base", "effnet-b0", "--seeds", "3")),
    (1, (*_SMALL, "--base", "mobilenet-v2", "--budget", "4x")),
    (2, (*_SMALL, "--base", "densenet-bc-100-12", "--data", "digits")),
    (2, (*_SMALL, "--base", "{here}/net.yaml", "--data", "folder:{here}/photos", "--strategy", "halving")),
    (1, (*_SMALL, "--base", "{here}/net.py:net", "--budget", "4x", "--data", "digits")),
    (2, ("search", "--base", "effnet-b0", "--time-budget", "40s")),
    (1, ("scale", "--space", "smoke", "--base", "resnet-20", "--data", "digits", "--phi", "2", *_COUNTED)),
    (2, ("scale", "--space", "smoke", "--base", "effnet-b0", "--phi", "1", *_COUNTED)),
)


@dataclass(frozen=True)
class Took:
    """Seconds from the plan to the end: announced, by the clock, and on an idle machine."""

    estimate: float
    clock: float
    idle: float


def main() -> None:
    """Run all, print and write the table."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    rows = []
    with tempfile.TemporaryDirectory() as name:
        here = Path(name) / "here"
        world.make(here)
        for number, (workers, command) in enumerate(COMMANDS):
            words = [word.format(here=here) for word in command]
            line = [*words, "--workers", str(workers), "--results", f"{name}/{number}"]
            took = run(line, workers)
            rows.append(
                {
                    "command": " ".join(command).format(here="HERE"),
                    "workers": workers,
                    "estimate": took.estimate,
                    "seconds": took.clock,
                    "seconds_idle": took.idle,
                    "ratio": took.estimate / took.clock,
                    "ratio_idle": took.estimate / took.idle,
                }
            )
            print(rows[-1], flush=True)
            table = pd.DataFrame(rows)
            table.to_csv(target, index=False, float_format="%.2f")
    within = table["ratio_idle"].between(2 / 3, 4 / 3)
    print(f"{within.sum()} of {len(table)} estimates within a third, against an idle machine; {target}")


def run(line: list[str], workers: int) -> Took:
    """Run a command line to its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scaler", *line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    planned, estimate, before = 0.0, 0.0, (0.0, 0.0)
    said = []
    for text in process.stderr:
        said.append(text)
        if text.startswith("Plan"):
            planned, before, estimate = time.monotonic(), _used(process.pid), _seconds(text)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its times can still be read
    clock, after = time.monotonic() - planned, _used(process.pid)
    if process.wait():
        raise RuntimeError("".join(said))
    own, others = after[0] - before[0], after[1] - before[1]
    return Took(estimate, clock, own + others / min(workers, os.cpu_count() or 1))


def _used(pid: int) -> tuple[float, float]:
    """Processor seconds of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks, (int(fields[13]) + int(fields[14])) / ticks


def _seconds(plan: str) -> float:
    """Of a line such as ``... about 1 min 05 s on 2 workers``."""
    units = {"h": 3600.0, "min": 60.0, "s": 1.0}
    announced = plan.rpartition("about ")[2]
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+) (h|min|s)\b", announced))


if __name__ == "__main__":
    main()
