"""Whether the law's intervals are as wide as resampling says, on recorded tables.

``python -m tests.benchmarks.bootstrap TABLE.csv [TABLE.csv ...]`` fits the law to accuracies after the last
epoch, of one training of each network off the budget and of all trainings, and again to as many accuracies
that could have come instead: what the fit expects of each network, and the residuals of another network with
as many trainings (a bootstrap of residuals, Efron & Tibshirani 1993, section 9.4, by whole networks, so that
own parts and seed effects stay together). Residuals are enlarged for what the fit took up of them, by its
effective degrees of freedom. Of what a doubling buys at the base, and of the candidates' directions at 4x
against their mean, ``results/reference/bootstrap.csv`` gets the posterior's standard deviation beside that of
what is expected over all resamplings.

The two need not be equal. The posterior also counts what resampling holds fixed, such as how the law bends
between networks, so it may be wider; were it much narrower, intervals would promise too much.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from scaler.replay.table import Table, read_table
from scaler.search.inference.decision import octaves_of, values_of
from scaler.search.inference.law import Fit, fit_law
from scaler.search.inference.posterior import Posterior
from scaler.search.inference.questions import Array, Questions, gains, latent_values
from scaler.search.inference.values import Values
from tests.benchmarks.foretell import ALL, ONCE, parts

TARGET = Path("results/reference/bootstrap.csv")
RESAMPLINGS = 200
AXES = ("depth", "width", "resolution")


def last_rung(values: Values) -> Values:
    """Accuracies after the last epoch, in points."""
    kept = np.flatnonzero(values.rung == values.rung.max())
    return Values(
        network=values.network[kept],
        seed_index=values.seed_index[kept],
        rung=np.zeros(len(kept), dtype=np.int64),
        value=100 * values.value[kept],
    )


def taken_up(fit: Fit, octaves: Array) -> float:
    """Effective degrees of freedom: how far each expected value follows its own one, summed."""
    values, step = fit.values, fit.deviation
    expected, total = expected_values(fit, octaves), 0.0
    for i in range(len(values.value)):
        moved = replace(values, value=values.value + step * (np.arange(len(values.value)) == i))
        total += (expected_values(fit_law(octaves, moved), octaves)[i] - expected[i]) / step
    return total


def resampled(values: Values, expected: Array, taken: float, random: np.random.Generator) -> Values:
    """Other values of the same networks: ``expected`` ``[N]`` of each, and residuals of another network's."""
    residual = values.value - expected
    residual *= np.sqrt(len(residual) / (len(residual) - taken))
    networks, counts = np.unique(values.network, return_counts=True)
    drawn = np.empty_like(residual)
    for network, count in zip(networks, counts, strict=True):
        other = random.choice(networks[counts == count])
        drawn[values.network == network] = residual[values.network == other]
    return replace(values, value=expected + drawn)


def questions(table: Table) -> tuple[Questions, Questions]:
    """What a doubling buys on each axis at the base; the candidates' directions at 4x against their mean."""
    candidates = octaves_of(table.experiment)[: len(table.experiment.shares)]
    shares = candidates / candidates.sum(axis=1, keepdims=True)
    against_mean = np.eye(len(shares)) - 1 / len(shares)
    return gains(np.zeros((1, 3))), latent_values(2 * shares).weighted(against_mean)


def expected_values(fit: Fit, octaves: Array) -> Array:
    """``[N]``: level and law at the network of every value, own parts and seed effects left out."""
    law = fit.mean(latent_values(octaves[fit.values.network]))
    return np.asarray(law + (fit.values.value - law).mean())


def compared(posterior: Posterior, again: Array) -> pd.DataFrame:
    """What is believed of questions beside what is expected of them over resamplings ``[R, T]``."""
    return pd.DataFrame(
        {
            "expected": posterior.mean,
            "posterior": np.sqrt(np.diag(posterior.covariance)),
            "bootstrap": again.std(axis=0),
            "bias": again.mean(axis=0) - posterior.mean,
        }
    )


def together(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """One row for all: the spread of what is expected, root mean squares, and the mean size of the bias."""
    squares = (rows[["posterior", "bootstrap"]] ** 2).mean() ** 0.5
    spread, bias = rows["expected"].std(ddof=0), rows["bias"].abs().mean()
    return pd.DataFrame([{"what": what, "expected": spread, **squares, "bias": bias}])


def frames(table: Table) -> Iterator[pd.DataFrame]:
    """One per part of the table."""
    octaves, (doublings, directions) = octaves_of(table.experiment), questions(table)
    for name, seen in parts(table):
        if name not in (ONCE, ALL):
            continue
        values = last_rung(values_of(seen))
        fit = fit_law(octaves, values)
        expected, taken, random = (
            expected_values(fit, octaves),
            taken_up(fit, octaves),
            np.random.default_rng(0),
        )
        drawn = (resampled(values, expected, taken, random) for _ in range(RESAMPLINGS))
        fits = [fit_law(octaves, values) for values in drawn]
        first, second = (np.array([one.mean(asked) for one in fits]) for asked in (doublings, directions))
        by_axis = compared(fit.posterior(doublings), first)
        by_axis.insert(0, "what", [f"a doubling of {axis}" for axis in AXES])
        raised = together(compared(fit.posterior(directions), second), "directions at 4x")
        found = pd.concat([by_axis, raised])
        yield found.assign(table=table.name, fitted_to=name, trainings=len(values.value), freedom=taken)


def main(paths: Sequence[Path]) -> None:
    """Fit, resample, write and print."""
    found = pd.concat([frame for path in paths for frame in frames(read_table(path))])
    found = found.assign(ratio=found["posterior"] / found["bootstrap"])
    columns = ["table", "fitted_to", "trainings", "freedom"]
    found = found[[*columns, *(name for name in found.columns if name not in columns)]]
    found.to_csv(TARGET, index=False, float_format="%.3f", lineterminator="\n")
    print(found.round(2).to_string(index=False))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
