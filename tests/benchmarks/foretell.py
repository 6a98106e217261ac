"""What a law foretells of networks that it never saw, from a recorded table.

``python -m tests.benchmarks.foretell TABLE.csv [TABLE.csv ...]`` fits the law to parts of each table and
writes three tables into ``results/reference``:

- ``foretold-networks.csv``: of every ``box`` network, which no search trains, the accuracy foretold, 90 %
  bounds of a single training, and the one observed, all against the mean of the box networks; by one training
  of each network off the budget, and by all trainings of these and of candidates;
- ``foretold-directions.csv``: how well the candidates' directions at the table's larger size are foretold, by
  these parts and by others: correlations with the means observed, and what the one foretold best lacks of the
  one observed best, in points;
- ``foretold-against.csv``: both by one training of each network off the budget, beside what least squares
  make of the same accuracies: by the sum of octaves, a plane in octaves, and a quadratic.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from scaler.execution.protocol import Observation
from scaler.replay.table import Table, observations, read_table
from scaler.search.inference.decision import octaves_of, values_of
from scaler.search.inference.law import Fit, fit_law
from scaler.search.inference.questions import Array, latent_values

FOLDER = Path("results/reference")
OCTAVES = ["octave_depth", "octave_width", "octave_resolution"]
BOUNDS = 0.9
#: What least squares are given of octaves ``[N, 3]``, beside a constant.
LEAST_SQUARES: dict[str, Callable[[Array], Array]] = {
    "sum of octaves": lambda x: x.sum(axis=1, keepdims=True),
    "plane": lambda x: x,
    "quadratic": lambda x: np.hstack([x, x**2, x * np.roll(x, 1, axis=1)]),
}
#: Parts of a table that networks are foretold from.
ONCE, ALL = "off the budget, once", "all"


def networks(path: Path, kind: str, *, first: bool) -> pd.DataFrame:
    """Networks of a kind: octaves, and accuracy at the last epoch, of the first seed or of all, in points."""
    rows = pd.read_csv(path, comment="#")
    rows = rows[(rows["kind"] == kind) & (rows["epochs"] == rows["epochs"].max())]
    rows = rows[rows["seed_index"] == 0] if first else rows
    points = rows.assign(accuracy=100 * rows["accuracy"])
    means: pd.DataFrame = points.groupby(["network", *OCTAVES], sort=False)["accuracy"].mean().reset_index()
    return means


def parts(table: Table) -> Iterator[tuple[str, list[Observation]]]:
    """What a law is fitted to, by name."""
    seen, candidates = observations(table), len(table.experiment.shares)
    off = [o for o in seen if o.candidate >= candidates]
    yield ONCE, [o for o in off if o.seed_index == 0]
    yield "off the budget", off
    yield "candidates", [o for o in seen if o.candidate < candidates]
    yield ALL, seen


def foretold(fit: Fit, asked: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in points against their mean, with bounds of a single training."""
    centred = np.eye(len(asked)) - 1 / len(asked)
    posterior = fit.posterior(latent_values(asked[OCTAVES].to_numpy()).weighted(centred))
    # A training has its network's own part and noise beside what the law says.
    own = float(fit.weights @ ((1 + fit.law.settings.own**2) * fit.noise)) * (1 - 1 / len(asked))
    spread = np.sqrt(np.diag(posterior.covariance) + own)
    reach = spread * stats.t.ppf((1 + BOUNDS) / 2, fit.freedom)
    mean = 100 * posterior.mean
    return pd.DataFrame({"foretold": mean, "low": mean - 100 * reach, "high": mean + 100 * reach})


def box(table: Table, path: Path, name: str, fit: Fit) -> pd.DataFrame:
    """The box networks as foretold and as observed; prints how far the two agree."""
    asked = networks(path, "box", first=True)
    observed = asked["accuracy"] - asked["accuracy"].mean()
    found = foretold(fit, asked).assign(observed=observed, fitted_to=name, network=asked["network"])
    error = found["observed"] - found["foretold"]
    within = found["observed"].between(found["low"], found["high"]).mean()
    print(
        f"{table.name}, {len(asked)} networks by {name}: correlation "
        f"{found['foretold'].corr(observed):.2f}, root mean square error {error.std():.2f} of "
        f"{observed.std():.2f} points, noise {100 * fit.deviation:.2f}, within bounds {within:.2f}"
    )
    columns = ["table", "fitted_to", "network", "foretold", "low", "high", "observed"]
    return found.assign(table=table.name)[columns]


def directions(table: Table, path: Path, name: str, fit: Fit, trainings: int) -> dict[str, str | float]:
    """How well the directions further up are foretold."""
    asked = networks(path, "larger", first=False)
    guess, observed = foretold(fit, asked)["foretold"], asked["accuracy"]
    return {
        "table": table.name,
        "fitted_to": name,
        "trainings": trainings,
        "correlation": guess.corr(observed),
        "spearman": guess.corr(observed, method="spearman"),
        "lacks": observed.max() - observed.iloc[int(guess.to_numpy().argmax())],
        "random_lacks": observed.max() - observed.mean(),
    }


def against(table: Table, path: Path, fit: Fit) -> Iterator[dict[str, str | float]]:
    """The law and least squares, by one training of each network off the budget."""
    known = networks(path, "off", first=True)
    for kind in ("box", "larger"):
        asked = networks(path, kind, first=kind == "box")
        if asked.empty:
            continue
        guesses = {"law": foretold(fit, asked)["foretold"].to_numpy()}
        for name, features in LEAST_SQUARES.items():
            a, b = (features(part[OCTAVES].to_numpy(dtype=float)) for part in (known, asked))
            coefficients = np.linalg.lstsq(np.insert(a, 0, 1.0, axis=1), known["accuracy"].to_numpy())[0]
            guesses[name] = b @ coefficients[1:]
        observed = asked["accuracy"] - asked["accuracy"].mean()
        for name, guess in guesses.items():
            error = observed - (guess - guess.mean())
            yield {
                "table": table.name, "networks": kind, "by": name, "count": len(asked),
                "correlation": float(np.corrcoef(guess, observed)[0, 1]),
                "error": error.std(), "observed": observed.std(),
                "lacks": observed.max() - observed.iloc[int(guess.argmax())] if kind == "larger" else np.nan,
            }  # fmt: skip


def main(paths: Sequence[Path]) -> None:
    """Fit, foretell, write and print."""
    boxes, rows = [], []
    beside: list[dict[str, str | float]] = []
    for path in paths:
        table = read_table(path)
        for name, some in parts(table):
            fit = fit_law(octaves_of(table.experiment), values_of(some), table.experiment.rungs)
            trainings = len({(o.candidate, o.seed_index) for o in some})
            rows.append(directions(table, path, name, fit, trainings))
            if name in (ONCE, ALL) and not networks(path, "box", first=True).empty:
                boxes.append(box(table, path, name, fit))
            if name == ONCE:
                beside += against(table, path, fit)
    found, compared = pd.DataFrame(rows), pd.DataFrame(beside)
    for name, written in (("networks", pd.concat(boxes)), ("directions", found), ("against", compared)):
        target = FOLDER / f"foretold-{name}.csv"
        written.to_csv(target, index=False, float_format="%.3f", lineterminator="\n")
    print(found.round(2).to_string(index=False))
    print(compared.round(2).to_string(index=False))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
