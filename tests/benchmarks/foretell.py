"""Networks that no search trains, foretold by a law that never saw them.

``python -m tests.benchmarks.foretell TABLE.csv`` fits the law to a recorded table, once to all trainings of
its candidates and its networks off the budget, and once to a single training of each network off the budget,
and writes ``results/reference/foretold-networks.csv``: of every ``box`` network of the table the accuracy
foretold, 90 % bounds of a single training, and the one observed, all against the mean of the box networks.
Prints how far the two agree.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from scaler.execution.protocol import Experiment, Observation
from scaler.replay.table import observations, read_table
from scaler.search.inference.decision import octaves_of, values_of
from scaler.search.inference.law import Fit, fit_law
from scaler.search.inference.questions import latent_values

TARGET = Path("results/reference/foretold-networks.csv")
OCTAVES = ["octave_depth", "octave_width", "octave_resolution"]
BOUNDS = 0.9


def box(path: Path) -> pd.DataFrame:
    """The box networks: octaves, and accuracy of their first seed at the last epoch, in points."""
    rows = pd.read_csv(path, comment="#")
    last, first = rows["epochs"] == rows["epochs"].max(), rows["seed_index"] == 0
    found = rows.loc[(rows["kind"] == "box") & last & first, ["network", *OCTAVES, "accuracy"]]
    points: pd.DataFrame = found.reset_index(drop=True).assign(accuracy=100 * found["accuracy"].to_numpy())
    return points


def foretold(fit: Fit, networks: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in points against their mean, with bounds of a single training."""
    centred = np.eye(len(networks)) - 1 / len(networks)
    asked = latent_values(networks[OCTAVES].to_numpy()).weighted(centred)
    posterior = fit.posterior(asked)
    # A training has its network's own part and noise beside what the law says.
    own = float(fit.weights @ ((1 + fit.law.settings.own**2) * fit.noise)) * (1 - 1 / len(networks))
    spread = np.sqrt(np.diag(posterior.covariance) + own)
    reach = spread * stats.t.ppf((1 + BOUNDS) / 2, fit.freedom)
    mean = 100 * posterior.mean
    return pd.DataFrame({"foretold": mean, "low": mean - 100 * reach, "high": mean + 100 * reach})


def main() -> None:
    """Fit, foretell, write and print."""
    path = Path(sys.argv[1])
    table, networks = read_table(path), box(Path(sys.argv[1]))
    observed = networks["accuracy"] - networks["accuracy"].mean()
    seen, candidates = observations(table), len(table.experiment.shares)
    single = [o for o in seen if o.candidate >= candidates and o.seed_index == 0]
    parts = []
    for name, some in (("all trainings", seen), ("one of each off the budget", single)):
        parts.append(_one(name, some, table.experiment, networks, observed))
    pd.concat(parts).to_csv(TARGET, index=False, float_format="%.3f", lineterminator="\n")


def _one(
    name: str,
    some: Sequence[Observation],
    experiment: Experiment,
    networks: pd.DataFrame,
    observed: pd.Series,
) -> pd.DataFrame:
    fit = fit_law(octaves_of(experiment), values_of(some), experiment.rungs)
    found = foretold(fit, networks).assign(observed=observed, fitted_to=name, network=networks["network"])
    error = found["observed"] - found["foretold"]
    within = ((found["low"] <= observed) & (observed <= found["high"])).mean()
    print(
        f"{name} ({len({(o.candidate, o.seed_index) for o in some})}): correlation "
        f"{found['foretold'].corr(observed):.2f}, root mean square error {error.std():.2f} of "
        f"{observed.std():.2f} points, noise {100 * fit.deviation:.2f}, within bounds {within:.2f}"
    )
    return found[["fitted_to", "network", "foretold", "low", "high", "observed"]]


if __name__ == "__main__":
    main()
