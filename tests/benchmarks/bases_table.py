"""What every base network costs, by closed form.

``python -m tests.benchmarks.bases_table`` writes ``results/reference/bases.csv``; a second or two.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from scaler.cost.network_cost import cost
from scaler.networks.registry import bases

TARGET = Path("results/reference/bases.csv")


def table() -> pd.DataFrame:
    """One line per base at its native resolution; counts are for one image."""
    return pd.DataFrame(
        {
            "name": spec.name,
            "family": spec.family,
            "resolution": spec.resolution,
            "classes": spec.classes,
            **asdict(cost(spec)),
        }
        for spec in bases().values()
    )


def main() -> None:
    """Write the table and say where."""
    table().to_csv(TARGET, index=False, lineterminator="\n")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
