"""A process with everything imported that runs each command line in a fork of itself, under limits.

So a case costs milliseconds, cannot disturb the next one, and one that hangs, eats the memory or kills its
process is a finding and not the end of the tests. Reads one job per line from stdin, answers in one line.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

#: What a case may allocate beyond what the imports took.
MEMORY = 4 << 30


@dataclass(frozen=True)
class Job:
    """A command line to run.

    Attributes:
        arguments: without the program's name.
        folder: to run it in.
        environment: added to the process's own.
        seconds: of computing, after which it is killed.
        stdout: a file for its standard output instead of the one that is read back.
        idle: seconds in which it does something, or it hangs.
        call: a function of :mod:`tests.hostile.world` to call in place of the program.
    """

    arguments: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    seconds: float
    stdout: str = ""
    idle: float = 20.0
    call: str = ""


@dataclass(frozen=True)
class Ended:
    """How it ended: exit code (negative: killed by that signal), hung, seconds computed, what it printed."""

    code: int
    hung: bool
    seconds: float
    out: str
    err: str


class Runner(Protocol):
    """Runs command lines."""

    def run(self, job: Job) -> Ended: ...


class Zygote:
    """The process, from outside."""

    def __enter__(self) -> Self:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__ if __name__ != "__main__" else "tests.hostile.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, job: Job) -> Ended:
        """Run a command line to its end, or to the end of its time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import_everything()
    gc.freeze()  # or the first collection of every fork would copy all of this
    for line in sys.stdin:
        answers.write(json.dumps(asdict(_run(json.loads(line)))) + "\n")
        answers.flush()


def import_everything() -> None:
    """Make what is slow once: imports, and what is kept per process."""
    import fvcore.nn
    import matplotlib.figure
    import optuna
    import torch

    import scaler.cli.main
    import scaler.cost.counting
    import scaler.data.folder
    import scaler.execution.run_trials
    import scaler.growth.scale_up
    import scaler.replay.evaluation
    import scaler.report.answers.search
    import scaler.report.pictures.of_run
    import scaler.search.session  # noqa: F401

    assert all((fvcore.nn, matplotlib.figure, optuna))
    torch.set_num_threads(1)
    _do_what_most_cases_do()


def _do_what_most_cases_do() -> None:
    """Imports and counts are kept per process: made here, they are there in every fork."""
    from scaler.data.registry import load
    from scaler.networks.build import build
    from scaler.search.candidates.problem import experiment, pose
    from scaler.search.session import check_counts, spanning
    from scaler.search.space import Space
    from scaler.search.strategies.registry import parse_strategy
    from tests.hostile.world import SPACE

    space = Space.model_validate(SPACE)
    problem = pose(space, 10)
    check_counts(spanning(problem))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SCALER_CACHE"] = cache
        load("digits", largest_resolution=8)
    build(problem.proxy.base)
    for name in ("exhaustive", "law", "tpe"):
        parse_strategy(name)
    experiment(problem, (), space, 64, 0)


def _run(job: dict[str, Any]) -> Ended:
    folder = Path(job["folder"])
    out, err = folder / ".out", folder / ".err"
    pid = os.fork()
    if pid == 0:
        _become(job, out, err)
    hung, watch = False, _Watch(pid)
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        if watch.hangs(job["seconds"], job["idle"]):
            hung = True
            os.killpg(pid, signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
            break
        time.sleep(0.002)
    texts = [path.read_text(errors="replace") if path.exists() else "" for path in (out, err)]
    for path in (out, err):
        path.unlink(missing_ok=True)
    return Ended(os.waitstatus_to_exitcode(status), hung, used.ru_utime + used.ru_stime, *texts)


class _Watch:
    """Tells whether a process hangs: by what it computed, not by the clock, for machines are busy."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._last = (time.monotonic(), 0.0)

    def hangs(self, seconds: float, idle: float) -> bool:
        """It has computed for so many seconds, or done nothing at all for so many."""
        now = time.monotonic()
        state, computed = self._read()
        since, before = self._last
        if computed != before or state == "R":
            self._last = (now, computed)
            since = now
        return computed > seconds or now - since > idle

    def _read(self) -> tuple[str, float]:
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:
            return "R", 0.0
        return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _become(job: dict[str, Any], out: Path, err: Path) -> None:
    """The child: never returns."""
    code = 99
    try:
        os.setpgid(0, 0)
        os.chdir(job["folder"])
        os.environ.update(job["environment"])
        create = os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(job["stdout"] or out, create), 1)
        os.dup2(os.open(err, create), 2)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        sys.stdin = os.fdopen(0)
        code = _call(job["call"]) if job["call"] else _main(job["arguments"])
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _call(name: str) -> int:
    from tests.hostile import world

    getattr(world, name)()
    return 0


def _main(arguments: list[str]) -> int:
    from scaler.cli.main import main

    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 98


if __name__ == "__main__":
    _serve()
