"""Planted laws of growth: what strategies find, and whether what they state holds.

``python -m tests.benchmarks.planted_laws law@0.1=60 knowledge-gradient@0.1=60 random@0.1=60 tpe@0.1=10``
plants laws of seven families (:mod:`tests.replay.planted`), lets each strategy search as many of each, and
writes ``results/reference/planted-laws.csv``. ``@0.1`` is the part of exhaustive's training FLOPs (64
trainings at 2x, so 6.4 of them), ``=60`` the number of searches per family; the same laws for all. Every
strategy's trainings are judged by the law. ``everything`` trains all networks with two seeds: what much data
leaves to doubt. ``law@0.1=60`` takes about 3 minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from scaler.execution.protocol import Experiment, Observation, Strategy, TrialSpec
from scaler.execution.training_cost import exhaustive_flops, highest_rungs, spent_flops
from scaler.files import write_bytes
from scaler.replay.evaluation import run
from scaler.search.inference.decision import fit_experiment, ladder, octaves_of, worths
from scaler.search.inference.lack_of_fit import lack_of_fit
from scaler.search.inference.questions import gains
from scaler.search.strategies.registry import parse_strategy
from tests.replay.planted import FAMILIES, World, plant

TARGET = Path("results/reference/planted-laws.csv")
#: Nothing is to be chosen where all directions are alike: left out of the means over families.
NO_CHOICE = "none"
ORIGIN = np.zeros((1, 3))


@dataclass(frozen=True)
class Outcome:
    """A search of a planted law.

    Attributes:
        cost_fraction: of exhaustive's training FLOPs; ``trainings``: how many.
        regret_2x, regret_4x, regret_16x: points that the choice, raised along its direction, lacks.
        coverage: the best set holds the candidate of largest worth over the ladder; ``region``: its size.
        slope_coverage: part of the three 90 % intervals of an octave's gain at the base that hold the truth;
            slope_width: their mean width in points.
        additive: probability that accuracy is a sum over axes.
        lack_of_fit: the F test is significant at 5 %; NaN without repeated seeds.
        seed_deviation: what was stated; 1.67 points were planted (the part that is not shared).
    """

    cost_fraction: float
    trainings: float
    regret_2x: float
    regret_4x: float
    regret_16x: float
    coverage: float
    region: float
    slope_coverage: float
    slope_width: float
    additive: float
    lack_of_fit: float
    seed_deviation: float


@dataclass(frozen=True)
class Everything:
    """All networks, on and off the budget, with two seeds each."""

    name: str = "everything"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """All at once, then none."""
        last, done = len(experiment.rungs) - 1, highest_rungs(seen)
        trials = [TrialSpec(n, s, last) for n in range(len(experiment.epoch_flops)) for s in (0, 1)]
        return [t for t in trials if (t.candidate, t.seed_index) not in done]


def judge(world: World, seen: Sequence[Observation]) -> Outcome:
    """What a search says after these observations, against what was planted."""
    experiment = world.table.experiment
    fit = fit_experiment(experiment, seen)
    assert fit is not None
    posterior = fit.posterior(worths(experiment))
    chosen, reached = int(posterior.mean.argmax()), highest_rungs(seen)
    region = posterior.region()
    lacks = [float(w.max() - w[chosen]) for w in (world.worth((size,)) for size in (2.0, 4.0, 16.0))]
    low, high = 100 * fit.posterior(gains(ORIGIN)).interval(0.9).T
    true = world.truth.smooth(np.eye(3)) - world.truth.smooth(ORIGIN)
    test = lack_of_fit(octaves_of(experiment), fit.values)
    return Outcome(
        cost_fraction=spent_flops(experiment, reached) / exhaustive_flops(experiment),
        trainings=len(reached),
        regret_2x=lacks[0],
        regret_4x=lacks[1],
        regret_16x=lacks[2],
        coverage=float(int(world.worth(ladder(experiment)).argmax()) in region),
        region=len(region),
        slope_coverage=float(np.mean((low <= true) & (true <= high))),
        slope_width=float(np.mean(high - low)),
        additive=fit.additive,
        lack_of_fit=float(test.p < 0.05) if test else np.nan,
        seed_deviation=100 * fit.deviation,
    )


def rows(name: str, count: int) -> Iterator[dict[str, object]]:
    """A row of means per family, and one over all of them where there is something to choose."""
    strategy: Strategy = Everything() if name == Everything.name else parse_strategy(name)
    chosen: list[Outcome] = []
    for family in FAMILIES:
        worlds = [plant(family, seed) for seed in range(count)]
        outcomes = [judge(world, run(strategy, world.table)) for world in worlds]
        yield row(name, family, outcomes)
        chosen += outcomes if family != NO_CHOICE else []
    yield row(name, "all", chosen)


def row(name: str, family: str, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Means, and the standard error of the last regret."""
    found: dict[str, object] = {"strategy": name, "family": family}
    for field in fields(Outcome):
        values = np.array([getattr(o, field.name) for o in outcomes])
        known = values[np.isfinite(values)]
        found[field.name] = round(float(known.mean()), 3) if len(known) else ""
    last = np.array([o.regret_16x for o in outcomes])
    found["regret_16x_stderr"] = round(float(last.std() / np.sqrt(max(len(last) - 1, 1))), 3)
    return {**found, "searches": len(outcomes)}


def main() -> None:
    """Search, print row by row, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="+", metavar="STRATEGY=COUNT")
    parser.add_argument("--output", type=Path, default=TARGET)
    asked = parser.parse_args()
    found = []
    for text in asked.strategies:
        name, _, count = text.partition("=")
        for one in rows(name, int(count or 60)):
            print(*(f"{k}={v}" for k, v in one.items()), file=sys.stderr, flush=True)
            found.append(one)
            command = f"# python -m tests.benchmarks.planted_laws {' '.join(asked.strategies)}\n"
            table = pd.DataFrame(found).to_csv(index=False, lineterminator="\n")
            write_bytes(asked.output, (command + table).encode())


if __name__ == "__main__":
    main()
