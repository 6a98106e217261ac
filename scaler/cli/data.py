"""``scaler data``: the data sets there are."""

from __future__ import annotations

from scaler.cli import options
from scaler.cli.console import Output, table


def data(json: options.Json = False, quiet: options.Quiet = False) -> None:
    """List the data sets that --data takes.

    Example: scaler data
    """
    from scaler.data.registry import DATA

    rows = [(found.USAGE, found.ABOUT) for found in DATA.values()]
    Output(json, quiet).result(
        [{"data": usage, "about": about} for usage, about in rows],
        table({"data": "left", "about": "left"}, rows, fold="about"),
    )
