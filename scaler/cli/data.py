"""``scaler data``: the data sets there are."""

from __future__ import annotations

from scaler.cli import options
from scaler.cli.console import Output, table
from scaler.data.registry import DATA


def data(json: options.Json = False, quiet: options.Quiet = False) -> None:
    """List the data sets that --data takes.

    Example: scaler data
    """
    Output(json, quiet).result(
        [{"data": name, "about": about} for name, about in DATA.items()],
        table({"data": "left", "about": "left"}, DATA.items(), fold="about"),
    )
