"""``python -m tests.benchmarks.speed [GROUP...]``: how fast Scaler is, each time against a baseline.

All groups, or those named (start, counting, training, gpu, data, growth); their rows take the place of the
old ones in ``results/reference/benchmarks.csv``. Ratios are medians of five turns, in processor time (on a
GPU: in wall time); docs/speed.md says what they mean.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

# One thread each, before torch or numpy are imported: processor time is then the time that work takes.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import pandas as pd

from scaler.files import write_bytes
from tests.benchmarks.speed import counting, data, gpu, growth, start, training
from tests.benchmarks.speed.ratio import Row

TARGET = Path("results/reference/benchmarks.csv")

GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    group.GROUP: group.rows for group in (start, counting, training, gpu, data, growth)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="all, if none is named")
    wanted = parser.parse_args().groups or list(GROUPS)
    for name in wanted:
        for row in GROUPS[name]():
            spread = f"{row.ratio:8.2f} ({row.low:.2f} to {row.high:.2f})"
            what = f"{row.what}, against {row.baseline}"
            print(f"{name:9} {spread}  {what}: {row.value:g} {row.unit}. {row.note}", flush=True)
            _keep(row)


def _keep(row: Row) -> None:
    """Put the row into the table, in place of an old one of the same thing."""
    new = pd.DataFrame([asdict(row)])
    if TARGET.exists():
        old = pd.read_csv(TARGET, keep_default_na=False)
        same = (old["group"] == row.group) & (old["what"] == row.what)
        new = pd.concat([old[~same], new], ignore_index=True)
    order = {group: place for place, group in enumerate(GROUPS)}
    new = new.sort_values("group", key=lambda groups: groups.map(order), kind="stable")
    write_bytes(TARGET, new.to_csv(index=False).encode())


if __name__ == "__main__":
    main()
