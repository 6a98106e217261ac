"""Networks as their papers print them, to set one's own beside."""

from __future__ import annotations

from importlib import resources
from typing import cast

import pandas as pd

from scaler.report.columns import CURVE_COLUMNS, Row, frame_of

#: What a table calls the place they come from.
PUBLISHED_RUN = "published"

#: Under a table that holds them.
NOTE = (
    "Published networks: ImageNet top-1 as printed, after full training. Their FLOPs are as printed too "
    "(multiply-adds of convolutions and linear layers); fvcore counts 2 to 4 % more."
)


def published_networks() -> pd.DataFrame:
    """The packaged table, in the columns of ``pareto.csv``, with ``source``; a paper's FLOPs are macs too."""
    file = resources.files("scaler.report.pareto").joinpath("published_networks.csv")
    with resources.as_file(file) as path:
        frame = pd.read_csv(path)
    named = frame.rename(columns={"family": "base"}).assign(policy="published", macs=frame["flops"])
    rows = cast("list[Row]", named.astype(object).where(named.notna(), None).to_dict("records"))
    return frame_of(rows, CURVE_COLUMNS)
