"""The loop of a search: ask the strategy, run what it asks for, and again, until it asks for nothing."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from scaler.errors import MachineError, UserError
from scaler.search.plan import rehearse
from scaler.search.study import Study, Trial, observations_of
from scaler.search.types import Contest, Observation, Strategy, Task
from scaler.search.worker import Crew, RunTask, work_once

#: A training that raised is tried so many times, and one whose process died.
TRIES = {"error": 3, "lost": 2}
#: Seconds between two looks at the study, and at workers that may have died on other machines.
POLL, PATROL = 0.2, 5.0
#: So many workers may die in a row without a training ending.
DEATHS_IN_A_ROW = 5

#: Told of the training FLOPs done, and of those of the whole search (an estimate until it is over).
OnProgress = Callable[[float, float], None]
#: Told of all that was seen so far.
OnBatch = Callable[[Sequence[Observation]], None]
Known = Mapping[Task, Observation]


def search(
    contest: Contest,
    strategy: Strategy,
    run_task: RunTask,
    study: Study,
    *,
    workers: int = 1,
    environments: Sequence[Mapping[str, str]] = (),
    attributes: Sequence[Mapping[str, Any]] = (),
    on_progress: OnProgress = lambda done, total: None,
    on_batch: OnBatch = lambda seen: None,
) -> list[Observation]:
    """Run a search to its end, from wherever its study stands.

    The strategy is asked from the beginning, and is told of whole batches only, as it was the first time:
    wherever a search was interrupted, it takes the course that it would have taken.

    Args:
        contest: what is compared.
        strategy: decides what is trained.
        run_task: the unit of work. With one worker it runs in this process and is not pickled.
        study: as :meth:`Study.create` gives it.
        workers: processes on this machine, each with one thread for arithmetic.
        environments: environment variables of each worker, e.g. which GPU it sees; none, or one entry each.
        attributes: of each candidate, to be shown with its trials.
        on_progress: called in this process at the start, and when a training has ended.
        on_batch: called in this process when a batch has ended.

    Returns:
        What the strategy saw, by candidate, repetition and rung.

    Raises:
        MachineError: a training failed three times, its process died twice, or the disk is full.
        UserError: a training said so (an unreadable image, say).
    """
    total = rehearse(strategy, contest, images=0).train_flops
    asked: list[Task] = []
    if study.finished:
        study.set_finished(False)
    with _team(study, run_task, list(environments) or [{}] * workers) as team:
        runner = _Runner(contest, study, team, attributes)
        seen: list[Observation] = []
        while batch := _next_batch(strategy, contest, seen):
            asked += batch
            total = max(total, _flops(contest, asked))
            for known in runner.run(batch):
                on_progress(_flops_done(contest, asked, known), total)
            seen = _told(asked, known)
            on_batch(seen)
    study.set_finished(True)
    on_progress(_flops(contest, asked), _flops(contest, asked))
    return seen


# --- what the strategy asks and is told ------------------------------------------------------------------


def _next_batch(strategy: Strategy, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
    """What the strategy asks for; of several rungs of one training the highest, which passes the others."""
    tops = _tops(strategy.ask(contest, seen))
    told = {Task(o.candidate, o.repetition, o.rung) for o in seen}
    if tops and told.issuperset(tops):
        raise RuntimeError(f"strategy {strategy.name} asks only for what it has seen")
    return [task for task in tops if task not in told]


def _tops(tasks: Iterable[Task]) -> list[Task]:
    """The highest rung of every training."""
    rungs: dict[tuple[int, int], int] = {}
    for task in tasks:
        training = (task.candidate, task.repetition)
        rungs[training] = max(task.rung, rungs.get(training, 0))
    return [Task(candidate, repetition, rung) for (candidate, repetition), rung in rungs.items()]


def _told(asked: Iterable[Task], known: Known) -> list[Observation]:
    """Every rung up to those asked for, and none beyond, whatever else the study holds."""
    tasks = [replace(top, rung=rung) for top in _tops(asked) for rung in range(top.rung + 1)]
    seen = [observation for task in tasks if (observation := _answer(task, known)) is not None]
    return sorted(seen, key=lambda o: (o.candidate, o.repetition, o.rung))


def _answer(task: Task, known: Known) -> Observation | None:
    """What is known of a task. A training that diverged is not run again: it stands for its later rungs."""
    if task in known:
        return known[task]
    for rung in range(task.rung):
        earlier = known.get(replace(task, rung=rung))
        if earlier is not None and earlier.state == "diverged":
            return replace(earlier, rung=task.rung)
    return None


def _flops(contest: Contest, asked: Iterable[Task]) -> float:
    """Training FLOPs of all that was asked for."""
    return sum(contest.epoch_flops[top.candidate] * contest.rungs[top.rung] for top in _tops(asked))


def _flops_done(contest: Contest, asked: Iterable[Task], known: Known) -> float:
    return sum(_flops_behind(contest, top, known) for top in _tops(asked))


def _flops_behind(contest: Contest, task: Task, known: Known) -> float:
    """Training FLOPs up to the highest rung that is known of a task's training."""
    for rung in range(task.rung, -1, -1):
        if _answer(replace(task, rung=rung), known) is not None:
            return contest.epoch_flops[task.candidate] * contest.rungs[rung]
    return 0.0


# --- running a batch -------------------------------------------------------------------------------------


class _Team(Protocol):
    """Who does the work."""

    def step(self, tasks: int) -> list[int]:
        """Work on, or let others work, for a moment, with so many tasks left; exit codes of who died."""


class _Alone:
    """This process does the work."""

    def __init__(self, study: Study, run_task: RunTask) -> None:
        self._study = study
        self._run_task = run_task

    def step(self, tasks: int) -> list[int]:
        if not work_once(self._study, self._run_task):
            time.sleep(POLL)
        return []


class _Crew:
    """Worker processes do the work."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def step(self, tasks: int) -> list[int]:
        return self._crew.wait(tasks, POLL)


@contextlib.contextmanager
def _team(study: Study, run_task: RunTask, environments: list[Mapping[str, str]]) -> Iterator[_Team]:
    if len(environments) == 1:
        yield _Alone(study, run_task)
        return
    crew = Crew(study.address, run_task, environments)
    try:
        yield _Crew(crew)
    finally:
        crew.stop()
        study.release_lost()


class _Runner:
    """Runs batches, and counts what fails."""

    def __init__(
        self, contest: Contest, study: Study, team: _Team, attributes: Sequence[Mapping[str, Any]]
    ) -> None:
        self._contest = contest
        self._study = study
        self._team = team
        self._attributes = attributes
        self._patrolled = time.monotonic()
        self._deaths: list[int] = []
        self._ended = 0
        study.release_lost()
        # What failed or was under way before this search was resumed does not count against it.
        self._old = {t.number for t in study.trials() if t.status in ("failed", "running")}

    def run(self, batch: Sequence[Task]) -> Iterator[Known]:
        """Run tasks until all are done; yields what is known, first, and whenever that has grown.

        Raises:
            MachineError, UserError: a task cannot be done.
        """
        size = -1
        while True:
            trials = self._study.trials()
            known = observations_of(trials)
            if len(known) != size:
                size = len(known)
                yield known
            pending = [task for task in batch if _answer(task, known) is None]
            if not pending:
                return
            self._check(trials)
            under_way = {trial.task for trial in trials if trial.status in ("waiting", "running")}
            if idle := [task for task in pending if task not in under_way]:
                idle.sort(key=lambda task: self._order(task, known))
                self._study.enqueue(idle, self._contest, self._attributes)
            self._step(len(pending), sum(trial.status in ("complete", "failed") for trial in trials))

    def _order(self, task: Task, known: Known) -> tuple[float, Task]:
        """The longest first, so that no worker is left alone with a long one at the end."""
        flops = self._contest.epoch_flops[task.candidate] * self._contest.rungs[task.rung]
        return _flops_behind(self._contest, task, known) - flops, task

    def _step(self, pending: int, ended: int) -> None:
        if ended != self._ended:
            self._ended, self._deaths = ended, []
        dead = self._team.step(pending)
        self._deaths += dead
        if len(self._deaths) >= DEATHS_IN_A_ROW:
            raise MachineError(
                f"workers die as soon as they start (exit code {dead[-1]}): "
                "see whether memory is short, or try --workers 1 to see why."
            )
        if dead or time.monotonic() - self._patrolled > PATROL:
            self._study.release_lost()
            self._patrolled = time.monotonic()

    def _check(self, trials: Iterable[Trial]) -> None:
        """Give up on a task that failed too often, or that no second try can mend."""
        counts: Counter[tuple[Task, str]] = Counter()
        for trial in trials:
            if trial.failure is None or trial.number in self._old:
                continue
            kind, reason = trial.failure.kind, trial.failure.reason
            if kind == "UserError":
                raise UserError(reason)
            if kind == "MachineError":
                raise MachineError(reason)
            counts[trial.task, kind] += 1
            if kind in TRIES and counts[trial.task, kind] >= TRIES[kind]:
                raise MachineError(
                    f"training candidate {trial.task.candidate} with the seeds of repetition "
                    f"{trial.task.repetition} failed {TRIES[kind]} times: {reason}. "
                    "The same command goes on from here."
                )
