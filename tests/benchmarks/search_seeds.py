"""Searches that differ in their seed alone: do their answers agree within the intervals they state?

``python -m tests.benchmarks.search_seeds`` runs the default search with five seeds and writes
``results/reference/search-seeds.csv``. A search agrees with another if the coefficients that the other
chose lie within its own intervals. About half an hour on 2 cores; ``--seeds N`` makes it shorter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

TARGET = Path("results/reference/search-seeds.csv")
AXES = ("alpha", "beta", "gamma")


def searched(seed: int, results: Path) -> Path:
    """The directory of a finished search with this seed; one begun before goes on."""
    name = f"seed-{seed}"
    command = ["search", "--base", "effnet-b0", "--budget", "2x", "--seed", str(seed)]
    here = ["--results", str(results), "--name", name]
    if not (results / name / "coefficients.json").is_file():
        subprocess.run([sys.executable, "-m", "scaler", *command, *here], check=True)
    return results / name


def row(seed: int, run: Path) -> dict[str, object]:
    """What a search chose, its intervals, and what it trained."""
    found = json.loads((run / "coefficients.json").read_text())
    trials = pd.read_csv(run / "trials.csv")
    longest = trials.groupby(["candidate", "seed_index"])[["images", "train_flops"]].max()
    result: dict[str, object] = {"seed": seed, "network": found["network"]}
    for axis in AXES:
        result[axis] = round(found[axis], 4)
        result[f"{axis}_low"], result[f"{axis}_high"] = (round(v, 4) for v in found["intervals"][axis])
    result |= {
        "best_set": len(found["best_set"]),
        "trainings": len(longest),
        "images": int(longest["images"].sum()),
        "train_flops": int(longest["train_flops"].sum()),
    }
    return result


def agreement(rows: pd.DataFrame) -> pd.Series:
    """How many of the other searches' choices lie within each search's intervals."""
    inside = pd.Series(0, index=rows.index)
    for one in rows.index:
        for other in rows.index.drop(one):
            inside[one] += all(
                rows[f"{axis}_low"][one] <= rows[axis][other] <= rows[f"{axis}_high"][one] for axis in AXES
            )
    return inside


def main() -> None:
    """Search, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path("results"))
    asked = parser.parse_args()
    rows = pd.DataFrame([row(seed, searched(seed, asked.results)) for seed in range(asked.seeds)])
    rows["others_inside"] = agreement(rows)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(TARGET, index=False)
    print(rows.to_string(index=False))


if __name__ == "__main__":
    main()
