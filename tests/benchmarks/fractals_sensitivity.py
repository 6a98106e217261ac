"""How much depth, width and resolution change the accuracy on the default data, against the seeds' scatter.

``python -m tests.benchmarks.fractals_sensitivity`` trains the proxy of the default search and the same
network at twice its depth, width or resolution, 4 seeds each, by SGD, the default before Muon, and writes
``results/reference/fractals-sensitivity.csv``. Accuracy and loss are of the validation part. About half
an hour on 2 cores; ``--seeds N`` and ``--jobs N`` make it shorter.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch

from scaler.cores import cores
from scaler.data.registry import load
from scaler.scaling.multipliers import Multipliers
from scaler.search.candidates.proxy_base import bases
from scaler.search.space import read_space
from scaler.seeds import derive
from scaler.training.device import Device, keep_memory
from scaler.training.recipe import TrainingSeeds
from scaler.training.trainer import train

TARGET = Path("results/reference/fractals-sensitivity.csv")
SPACE = "results/reference/proxies/sgd.yaml"
VARIANTS = {
    "resolution x2": Multipliers(1, 1, 2),
    "width x2": Multipliers(1, 2, 1),
    "depth x2": Multipliers(2, 1, 1),
    "base": Multipliers(),
}


def trained(variant: str, seed: int, jobs: int) -> dict[str, str | int | float]:
    """One training, as a row of the table."""
    torch.set_num_threads(max(1, cores() // jobs))
    keep_memory()
    space = read_space(SPACE)
    data = load("fractals", largest_resolution=2 * space.proxy.resolution)
    _, proxy = bases(space, len(data.classes))
    realised = proxy.realise(VARIANTS[variant])
    # As in a search: one order of the images per seed index, weights of every training's own.
    seeds = TrainingSeeds(derive(0, "weights", seed, variant), derive(0, "order", seed))
    stops = [space.recipe.epochs]
    (evaluation,) = train(realised.spec, space.recipe, data, seeds, stops=stops, device=Device())
    return {
        "variant": variant,
        "seed": seed,
        "depth": round(realised.effective.depth, 3),
        "width": round(realised.effective.width, 3),
        "resolution": realised.spec.resolution,
        "flops": realised.cost.flops,
        "accuracy": round(evaluation.accuracy, 4),
        "loss": round(evaluation.loss, 4),
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and deviation over the seeds, and the change against the base in deviations."""
    columns = table.groupby("variant", sort=False)["accuracy"].agg(["mean", "std"])
    columns["change"] = columns["mean"] - columns["mean"].loc["base"]
    pooled = (columns["std"] ** 2 + columns["std"].loc["base"] ** 2).div(2) ** 0.5
    columns["in deviations"] = columns["change"] / pooled
    return columns


def main() -> None:
    """Train, write the table and print what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    asked = parser.parse_args()
    rows: list[dict[str, str | int | float]] = []
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        trials = product(range(asked.seeds), asked.variants)
        futures = [pool.submit(trained, variant, seed, asked.jobs) for seed, variant in trials]
        for future in as_completed(futures):
            rows.append(future.result())
            print(rows[-1], flush=True)
    order = {variant: place for place, variant in enumerate(reversed(VARIANTS))}
    rows.sort(key=lambda row: (order[str(row["variant"])], int(row["seed"])))
    table = pd.DataFrame(rows)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(TARGET, index=False, lineterminator="\n")
    print(summary(table).round(4).to_string(), f"\nwrote {TARGET}")


if __name__ == "__main__":
    main()
