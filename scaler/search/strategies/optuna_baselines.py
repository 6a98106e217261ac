"""Optuna's samplers and pruners as strategies: the baselines to beat, as a user would set them up.

The sampler suggests shares (two numbers folded onto the triangle) and the nearest candidate is trained, with
a further seed each time it comes up again. Trainings run one after the other, as samplers want it, and a
pruner is asked after every rung.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Sequence
from dataclasses import astuple
from functools import partial
from typing import Literal

import numpy as np
import optuna

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.training_cost import exhaustive_flops

Baseline = Literal["tpe", "gp", "asha", "hyperband"]
#: Trials that name only trainings that are already done, before a search is taken to be over.
_IDLE_TRIALS = 20

Course = Generator[TrialSpec, Observation, None]


class OptunaBaseline:
    """A search by Optuna; ``budget_fraction`` is the part of exhaustive search's training FLOPs.

    ``tpe`` and ``gp`` train in full; ``asha`` (``SuccessiveHalvingPruner``) and ``hyperband`` stop trainings
    early and sample by TPE, Optuna's default.
    """

    def __init__(self, name: Baseline, budget_fraction: float = 0.1) -> None:
        self.name = name
        self.budget_fraction = budget_fraction
        # What it has gone through. Kept only to save time: it follows from what was seen.
        self._experiment: Experiment | None = None
        self._course: Course = iter(())  # type: ignore[assignment]
        self._waiting: TrialSpec | None = None
        self._done: dict[TrialSpec, Observation] = {}

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """The next rung of the running training, or the first of the next one."""
        results = {TrialSpec(o.candidate, o.seed_index, o.rung): o for o in seen}
        if experiment != self._experiment or any(results.get(k) != found for k, found in self._done.items()):
            self._begin(experiment)
        while self._waiting is not None and self._waiting in results:
            self._done[self._waiting] = results[self._waiting]
            try:
                self._waiting = self._course.send(results[self._waiting])
            except StopIteration:
                self._waiting = None
        return [] if self._waiting is None else [self._waiting]

    def _begin(self, experiment: Experiment) -> None:
        self._experiment, self._done = experiment, {}
        self._course = _course(self, experiment)
        self._waiting = next(self._course)


def _course(strategy: OptunaBaseline, experiment: Experiment) -> Course:
    """Trainings one by one: yields a trial, is sent its observation."""
    study = _study(strategy.name, experiment)
    left = strategy.budget_fraction * exhaustive_flops(experiment)
    used = [0] * len(experiment.shares)
    values: dict[int, float] = {}
    idle = 0
    while idle < _IDLE_TRIALS:
        trial = study.ask()
        candidate = _nearest(experiment, trial.suggest_float("u", 0, 1), trial.suggest_float("v", 0, 1))
        if used[candidate] == experiment.max_seeds:
            study.tell(trial, values[candidate])
            idle += 1
            continue
        idle, done, value, pruned = 0, 0, -1.0, False
        for rung, epochs in enumerate(experiment.rungs):
            cost = experiment.epoch_flops[candidate] * (epochs - done)
            if cost > left and (done or any(used)):
                return
            found = yield TrialSpec(candidate, used[candidate], rung)
            left, done, value = left - cost, epochs, found.accuracy
            trial.report(value, epochs)
            pruned = found.state != "complete" or (rung < len(experiment.rungs) - 1 and trial.should_prune())
            if pruned:
                break
        used[candidate] += 1
        values[candidate] = value
        study.tell(trial, None if pruned else value, _state(pruned))


def _state(pruned: bool) -> optuna.trial.TrialState:
    return optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE


def _nearest(experiment: Experiment, u: float, v: float) -> int:
    """The candidate nearest to a uniform point of the triangle (the square folded by a square root)."""
    root = math.sqrt(u)
    point = np.array([1 - root, root * (1 - v), root * v])
    shares = np.array([astuple(s) for s in experiment.shares])
    return int(((shares - point) ** 2).sum(axis=1).argmin())


def _study(baseline: Baseline, experiment: Experiment) -> optuna.Study:
    first, last = experiment.rungs[0], experiment.rungs[-1]
    sampler: optuna.samplers.BaseSampler
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = (
            optuna.samplers.GPSampler(seed=experiment.seed)
            if baseline == "gp"
            else optuna.samplers.TPESampler(seed=experiment.seed)
        )
    if baseline == "asha":
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    elif baseline == "hyperband":
        pruner = optuna.pruners.HyperbandPruner(min_resource=first, max_resource=last, reduction_factor=3)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        direction="maximize", sampler=sampler, pruner=pruner, study_name=f"{baseline}-{experiment.seed}"
    )


tpe = partial(OptunaBaseline, "tpe")
gp = partial(OptunaBaseline, "gp")
asha = partial(OptunaBaseline, "asha")
hyperband = partial(OptunaBaseline, "hyperband")
