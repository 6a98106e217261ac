"""Searches that differ in their seed alone: do their answers agree within the intervals they state?

``python -m tests.benchmarks.search_seeds`` runs the default search with five seeds and writes
``results/reference/search-seeds.csv``, a row per search:

- ``others_inside``: how many of the other searches' choices lie in this one's best set;
- ``farthest``: the largest distance of its choice to another's, as the part of the FLOPs that goes elsewhere
  (half the sum of the differences of their shares);
- of every axis, what a doubling of FLOPs buys at the base in points, with its interval, and how many others'
  expected gains lie in it.

About half an hour on 2 cores; ``--seeds N`` makes it shorter. A search begun before goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

from scaler.search.result import SearchResult, read_result

TARGET = Path("results/reference/search-seeds.csv")
AXES = ("depth", "width", "resolution")


def searched(seed: int, results: Path) -> SearchResult:
    """The answer of a search with this seed."""
    name = f"seed-{seed}"
    command = ["search", "--base", "effnet-b0", "--budget", "2x", "--seed", str(seed)]
    here = ["--results", str(results), "--name", name]
    if not (results / name / "coefficients.json").is_file():
        subprocess.run([sys.executable, "-m", "scaler", *command, *here], check=True)
    return read_result(results / name)


def row(found: SearchResult, others: list[SearchResult], trials: pd.DataFrame) -> dict[str, object]:
    """What a search chose, what it says of the axes, what it trained, and how others agree with it."""
    longest = trials.groupby(["candidate", "seed_index"])[["images", "train_flops"]].max()
    shares = np.array(astuple(found.chosen.shares))
    elsewhere = [np.abs(shares - astuple(other.chosen.shares)).sum() / 2 for other in others]
    result: dict[str, object] = {
        "seed": found.seed,
        "network": found.network,
        **{f"share_{axis}": round(share, 4) for axis, share in zip(AXES, shares, strict=True)},
        "best_set": len(found.best_set),
        "others_inside": sum(other.network in found.best_set for other in others),
        "farthest": round(max(elsewhere, default=0.0), 4),
    }
    for axis in AXES:
        mean, low, high = gain(found, axis)
        result |= {
            f"gain_{axis}": round(mean, 2),
            f"gain_{axis}_low": round(low, 2),
            f"gain_{axis}_high": round(high, 2),
            f"others_gain_{axis}_inside": sum(low <= gain(other, axis)[0] <= high for other in others),
        }
    return result | {
        "trainings": len(longest),
        "images": int(longest["images"].sum()),
        "train_flops": int(longest["train_flops"].sum()),
    }


def gain(found: SearchResult, axis: str) -> tuple[float, float, float]:
    """Points that a doubling on an axis buys at the base: expected, and the ends of the interval."""
    at_base = next(g for g in found.law.gains if g.axis == axis and g.size == 1)
    return 100 * at_base.mean, 100 * at_base.low, 100 * at_base.high


def main() -> None:
    """Search, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path("results"))
    asked = parser.parse_args()
    found = [searched(seed, asked.results) for seed in range(asked.seeds)]
    trials = [pd.read_csv(asked.results / f"seed-{seed}" / "trials.csv") for seed in range(asked.seeds)]
    rows = pd.DataFrame([row(one, found[:i] + found[i + 1 :], trials[i]) for i, one in enumerate(found)])
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(TARGET, index=False)
    print(rows.T.to_string())


if __name__ == "__main__":
    main()
