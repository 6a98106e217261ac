"""The loop of a search: ask the strategy, run what it asks for, and again, until it asks for nothing."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from scaler.errors import MachineError, UserError
from scaler.execution.plan import simulated_plan
from scaler.execution.protocol import Experiment, Observation, Strategy, TrialSpec
from scaler.execution.study import StoredTrial, Study, observations_of
from scaler.execution.training_cost import highest_rungs, spent_flops
from scaler.execution.worker_pool import TrainTrial, WorkerPool, work_once

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
Known = Mapping[TrialSpec, Observation]


def search(
    experiment: Experiment,
    strategy: Strategy,
    train_trial: TrainTrial,
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
        experiment: what is compared.
        strategy: decides what is trained.
        train_trial: the unit of work. With one worker it runs in this process and is not pickled.
        study: as :meth:`Study.create` gives it.
        workers: processes on this machine, each with one thread for arithmetic.
        environments: environment variables of each worker, e.g. which GPU it sees; none, or one entry each.
        attributes: of each candidate, to be shown with its trials.
        on_progress: called in this process at the start, and when a training has ended.
        on_batch: called in this process when a batch has ended.

    Returns:
        What the strategy saw, by candidate, seed index and rung.

    Raises:
        MachineError: a training failed three times, its process died twice, or the disk is full.
        UserError: a training said so (an unreadable image, say).
    """
    total = simulated_plan(strategy, experiment, images=0).train_flops
    asked: list[TrialSpec] = []
    if study.finished:
        study.set_finished(False)
    with _team(study, train_trial, list(environments) or [{}] * workers) as team:
        runner = _Runner(experiment, study, team, attributes)
        seen: list[Observation] = []
        while batch := _next_batch(strategy, experiment, seen):
            asked += batch
            total = max(total, _flops(experiment, asked))
            for known in runner.run(batch):
                on_progress(_flops_done(experiment, asked, known), total)
            seen = _told(asked, known)
            on_batch(seen)
    study.set_finished(True)
    on_progress(_flops(experiment, asked), _flops(experiment, asked))
    return seen


# --- what the strategy asks and is told ------------------------------------------------------------------


def _next_batch(strategy: Strategy, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
    """What the strategy asks for; of several rungs of one training the highest, which passes the others."""
    tops = _tops(strategy.ask(experiment, seen))
    told = {TrialSpec(o.candidate, o.seed_index, o.rung) for o in seen}
    if tops and told.issuperset(tops):
        raise RuntimeError(f"strategy {strategy.name} asks only for what it has seen")
    return [spec for spec in tops if spec not in told]


def _tops(trials: Iterable[TrialSpec]) -> list[TrialSpec]:
    """The highest rung of every training."""
    return [TrialSpec(*training, rung) for training, rung in highest_rungs(trials).items()]


def _told(asked: Iterable[TrialSpec], known: Known) -> list[Observation]:
    """Every rung up to those asked for, and none beyond, whatever else the study holds."""
    specs = [replace(top, rung=rung) for top in _tops(asked) for rung in range(top.rung + 1)]
    seen = [observation for spec in specs if (observation := _answer(spec, known)) is not None]
    return sorted(seen, key=lambda o: (o.candidate, o.seed_index, o.rung))


def _answer(spec: TrialSpec, known: Known) -> Observation | None:
    """What is known of a spec. A training that diverged is not run again: it stands for its later rungs."""
    if spec in known:
        return known[spec]
    for rung in range(spec.rung):
        earlier = known.get(replace(spec, rung=rung))
        if earlier is not None and earlier.state == "diverged":
            return replace(earlier, rung=spec.rung)
    return None


def _flops(experiment: Experiment, asked: Iterable[TrialSpec]) -> float:
    """Training FLOPs of all that was asked for."""
    return spent_flops(experiment, highest_rungs(asked))


def _flops_done(experiment: Experiment, asked: Iterable[TrialSpec], known: Known) -> float:
    return sum(_flops_behind(experiment, top, known) for top in _tops(asked))


def _flops_behind(experiment: Experiment, spec: TrialSpec, known: Known) -> float:
    """Training FLOPs up to the highest rung that is known of a spec's training."""
    for rung in range(spec.rung, -1, -1):
        if _answer(replace(spec, rung=rung), known) is not None:
            return experiment.epoch_flops[spec.candidate] * experiment.rungs[rung]
    return 0.0


# --- running a batch -------------------------------------------------------------------------------------


class _Team(Protocol):
    """Who does the work."""

    def step(self, specs: int) -> list[int]:
        """Work on, or let others work, for a moment, with so many specs left; exit codes of who died."""


class _Alone:
    """This process does the work."""

    def __init__(self, study: Study, train_trial: TrainTrial) -> None:
        self._study = study
        self._train_trial = train_trial

    def step(self, specs: int) -> list[int]:
        if not work_once(self._study, self._train_trial):
            time.sleep(POLL)
        return []


class _Pool:
    """Worker processes do the work."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def step(self, specs: int) -> list[int]:
        return self._pool.wait(specs, POLL)


@contextlib.contextmanager
def _team(study: Study, train_trial: TrainTrial, environments: list[Mapping[str, str]]) -> Iterator[_Team]:
    if len(environments) == 1:
        yield _Alone(study, train_trial)
        return
    pool = WorkerPool(study.address, train_trial, environments)
    try:
        yield _Pool(pool)
    finally:
        pool.stop()
        study.release_lost()


class _Runner:
    """Runs batches, and counts what fails."""

    def __init__(
        self, experiment: Experiment, study: Study, team: _Team, attributes: Sequence[Mapping[str, Any]]
    ) -> None:
        self._experiment = experiment
        self._study = study
        self._team = team
        self._attributes = attributes
        self._patrolled = time.monotonic()
        self._deaths: list[int] = []
        self._ended = 0
        study.release_lost()
        # What failed or was under way before this search was resumed does not count against it.
        self._old = {t.number for t in study.trials() if t.status in ("failed", "running")}

    def run(self, batch: Sequence[TrialSpec]) -> Iterator[Known]:
        """Run specs until all are done; yields what is known, first, and whenever that has grown.

        Raises:
            MachineError, UserError: a spec cannot be done.
        """
        size = -1
        while True:
            trials = self._study.trials()
            known = observations_of(trials)
            if len(known) != size:
                size = len(known)
                yield known
            pending = [spec for spec in batch if _answer(spec, known) is None]
            if not pending:
                return
            self._check(trials)
            under_way = {trial.spec for trial in trials if trial.status in ("waiting", "running")}
            if idle := [spec for spec in pending if spec not in under_way]:
                idle.sort(key=lambda spec: self._order(spec, known))
                self._study.enqueue(idle, self._experiment, self._attributes)
            self._step(len(pending), sum(trial.status in ("complete", "failed") for trial in trials))

    def _order(self, spec: TrialSpec, known: Known) -> tuple[float, TrialSpec]:
        """The longest first, so that no worker is left alone with a long one at the end."""
        flops = self._experiment.epoch_flops[spec.candidate] * self._experiment.rungs[spec.rung]
        return _flops_behind(self._experiment, spec, known) - flops, spec

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

    def _check(self, trials: Iterable[StoredTrial]) -> None:
        """Give up on a spec that failed too often, or that no second try can mend."""
        counts: Counter[tuple[TrialSpec, str]] = Counter()
        for trial in trials:
            if trial.failure is None or trial.number in self._old:
                continue
            kind, reason = trial.failure.kind, trial.failure.reason
            if kind == "UserError":
                raise UserError(reason)
            if kind == "MachineError":
                raise MachineError(reason)
            counts[trial.spec, kind] += 1
            if kind in TRIES and counts[trial.spec, kind] >= TRIES[kind]:
                raise MachineError(
                    f"training candidate {trial.spec.candidate} with seed index "
                    f"{trial.spec.seed_index} failed {TRIES[kind]} times: {reason}. "
                    "The same command goes on from here."
                )
