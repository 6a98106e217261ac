"""What the exponents 1, 2, 2 make of a DenseNet's budget, and what measured exponents make of it.

``python -m tests.benchmarks.densenet_exponents`` realises every point of the default grid at its nominal
coefficients for 2x, by either exponents and without any adjustment, and writes the counted FLOPs side by
side to ``results/reference/densenet-exponents.csv``. Seconds; nothing is trained.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scaler.cost.exponents import measure
from scaler.networks.registry import base
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import THEORY, Exponents
from scaler.search.candidates.grid import lattice_points
from scaler.search.candidates.realise import Scalable

TARGET = Path("results/reference/densenet-exponents.csv")
BASES = ("densenet-40-12", "densenet-bc-100-12", "densenet-121")
BUDGET = 2.0


def ratios(scalable: Scalable, exponents: Exponents) -> dict[str, float]:
    """Counted FLOPs of every point against the base's."""
    points = lattice_points(4, BUDGET, exponents)
    return {point.name: scalable.realise(point.target.multipliers).ratio for point in points}


def main() -> None:
    """Write the table and print its spread."""
    rows = []
    for name in BASES:
        # Channels to the last one: growth rates of 12 in multiples of 8 would hide what exponents do.
        scalable = Scalable(base(name), Rounding(divisor=1))
        exponents = measure(scalable.base, budget=BUDGET).exponents
        theory, measured = ratios(scalable, THEORY), ratios(scalable, exponents)
        for point, ratio in theory.items():
            rows.append(
                {
                    "base": name,
                    "point": point,
                    "exponent_depth": round(exponents.depth, 3),
                    "exponent_width": round(exponents.width, 3),
                    "exponent_resolution": round(exponents.resolution, 3),
                    "ratio_theory": round(ratio, 4),
                    "ratio_measured": round(measured[point], 4),
                }
            )
    table = pd.DataFrame(rows)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(TARGET, index=False, lineterminator="\n")
    print(table.groupby("base", sort=False)[["ratio_theory", "ratio_measured"]].agg(["min", "median", "max"]))
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
