"""``scaler report``: runs as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.cli.console import Output


def report(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Directories or names of runs; default: the newest finished scaling, else search.",
            autocompletion=options.complete_run,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="File to write; default: report.html in the first run.",
            rich_help_panel="Output",
        ),
    ] = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write runs as one HTML page that needs no network: answer, pictures, tables, proxy, how to repeat it.

    Example: scaler report effnet-b0-2x effnet-b0-phi-4
    """
    from scaler.report.page.page import write_page
    from scaler.report.run_tables import find_run

    chosen = [find_run(results, name) for name in run] if run else [find_run(results, None)]
    file = write_page(chosen, to)
    Output(json, quiet).result({"runs": [str(one.path) for one in chosen], "file": str(file)}, str(file))
