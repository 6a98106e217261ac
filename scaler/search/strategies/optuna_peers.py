"""Optuna's samplers and pruners as strategies: the peers to beat, as a user would set them up.

The sampler suggests shares (two numbers folded onto the triangle) and the nearest candidate is trained, with
a further seed each time it comes up again. Trainings run one after the other, as samplers want it, and a
pruner is asked after every rung.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Sequence
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
import optuna

from scaler.search.types import Contest, Observation, Task

Peer = Literal["tpe", "gp", "asha", "hyperband"]
#: Trials that name only trainings that are already done, before a search is taken to be over.
_IDLE_TRIALS = 20

Course = Generator[Task, Observation, None]


@dataclass(frozen=True)
class OptunaPeer:
    """A search by Optuna; ``spend`` is the part of exhaustive search's training FLOPs.

    ``tpe`` and ``gp`` train in full; ``asha`` (``SuccessiveHalvingPruner``) and ``hyperband`` stop trainings
    early and sample by TPE, Optuna's default.
    """

    peer: Peer
    spend: float = 0.1

    @property
    def name(self) -> str:
        """The peer's name."""
        return self.peer

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """The next rung of the running training, or the first of the next one."""
        results = {Task(o.candidate, o.repetition, o.rung): o for o in seen}
        journey = _journey(self, contest)
        if any(results.get(task) != found for task, found in journey.done.items()):
            _journey.cache_clear()
            journey = _journey(self, contest)
        while journey.waiting is not None and journey.waiting in results:
            journey.go_on(results[journey.waiting])
        return [] if journey.waiting is None else [journey.waiting]


@dataclass
class _Journey:
    """How far a search has come. Kept only to save time: it follows from what was seen."""

    course: Course
    waiting: Task | None = None
    done: dict[Task, Observation] = field(default_factory=dict)

    def go_on(self, found: Observation) -> None:
        """Tell the result that the search waits for."""
        assert self.waiting is not None
        self.done[self.waiting] = found
        try:
            self.waiting = self.course.send(found)
        except StopIteration:
            self.waiting = None


@lru_cache(maxsize=1)
def _journey(strategy: OptunaPeer, contest: Contest) -> _Journey:
    course = _course(strategy, contest)
    return _Journey(course, next(course))


def _course(strategy: OptunaPeer, contest: Contest) -> Course:
    """Trainings one by one: yields a task, is sent its observation."""
    study = _study(strategy.peer, contest)
    left = strategy.spend * sum(contest.epoch_flops) * contest.rungs[-1] * contest.repetitions
    used = [0] * len(contest.shares)
    values: dict[int, float] = {}
    idle = 0
    while idle < _IDLE_TRIALS:
        trial = study.ask()
        candidate = _nearest(contest, trial.suggest_float("u", 0, 1), trial.suggest_float("v", 0, 1))
        if used[candidate] == contest.repetitions:
            study.tell(trial, values[candidate])
            idle += 1
            continue
        idle, done, value, pruned = 0, 0, -1.0, False
        for rung, epochs in enumerate(contest.rungs):
            cost = contest.epoch_flops[candidate] * (epochs - done)
            if cost > left and (done or any(used)):
                return
            found = yield Task(candidate, used[candidate], rung)
            left, done, value = left - cost, epochs, found.accuracy
            trial.report(value, epochs)
            pruned = found.state != "complete" or (rung < len(contest.rungs) - 1 and trial.should_prune())
            if pruned:
                break
        used[candidate] += 1
        values[candidate] = value
        study.tell(trial, None if pruned else value, _state(pruned))


def _state(pruned: bool) -> optuna.trial.TrialState:
    return optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE


def _nearest(contest: Contest, u: float, v: float) -> int:
    """The candidate nearest to a uniform point of the triangle (the square folded by a square root)."""
    root = math.sqrt(u)
    point = np.array([1 - root, root * (1 - v), root * v])
    shares = np.array([astuple(s) for s in contest.shares])
    return int(((shares - point) ** 2).sum(axis=1).argmin())


def _study(peer: Peer, contest: Contest) -> optuna.Study:
    first, last = contest.rungs[0], contest.rungs[-1]
    sampler: optuna.samplers.BaseSampler
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = (
            optuna.samplers.GPSampler(seed=contest.seed)
            if peer == "gp"
            else optuna.samplers.TPESampler(seed=contest.seed)
        )
    if peer == "asha":
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    elif peer == "hyperband":
        pruner = optuna.pruners.HyperbandPruner(min_resource=first, max_resource=last, reduction_factor=3)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        direction="maximize", sampler=sampler, pruner=pruner, study_name=f"{peer}-{contest.seed}"
    )
