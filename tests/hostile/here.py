"""Runs command lines in this very process: milliseconds each, for cases that are refused before much is done.

What would eat the memory, kill its process or wait for ever belongs to :mod:`tests.hostile.zygote`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import world
from tests.hostile.zygote import Ended, Job


class Here:
    """This process, as :class:`tests.hostile.zygote.Zygote` is another one."""

    def run(self, job: Job) -> Ended:
        """Run a command line to its end, or to the end of its time."""
        started = time.process_time()
        out, err = Path(job.folder, ".out"), Path(job.folder, ".err")
        code, hung = 99, False
        with _surroundings(job), _output(job.stdout or str(out), str(err)), _limited(job.seconds):
            try:
                code = _ended(job)
            except _Hangs:
                hung = True
            # As the interpreter ends with what nobody caught.
            except BaseException:
                traceback.print_exc()
        texts = [path.read_text(errors="replace") if path.exists() else "" for path in (out, err)]
        for path in (out, err):
            path.unlink(missing_ok=True)
        return Ended(code, hung, time.process_time() - started, *texts)


class _Hangs(BaseException):
    """Its time is over."""


def _ended(job: Job) -> int:
    """The exit code."""
    if job.call:
        getattr(world, job.call)()
        return 0
    from scaler.cli.main import main

    try:
        main(job.arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 98


@contextlib.contextmanager
def _surroundings(job: Job) -> Iterator[None]:
    """The folder, the environment and the search path of modules, as they were afterwards."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        patch.setattr(sys, "path", list(sys.path))
        patch.chdir(job.folder)
        for name, value in job.environment.items():
            patch.setenv(name, value)
        yield


@contextlib.contextmanager
def _output(out: str, err: str) -> Iterator[None]:
    """Standard output and error, of Python and below it, go to files."""
    kept = os.dup(1), os.dup(2)
    opened = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o666) for path in (out, err)]
    try:
        for descriptor, standard in zip(opened, (1, 2), strict=True):
            os.dup2(descriptor, standard)
        with (
            open(1, "w", closefd=False) as stdout,
            open(2, "w", closefd=False, buffering=1) as stderr,
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            yield
            _flush(stdout)
    finally:
        for descriptor, standard in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, standard)
        for descriptor in (*kept, *opened):
            os.close(descriptor)


def _flush(stream: Any) -> None:
    """What a full device does not take is the program's affair, and has been told."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Of computing, not of the clock: machines are busy."""

    def over(number: int, frame: object) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
