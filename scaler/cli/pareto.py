"""``scaler pareto``: which networks no other beats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.cli.console import Output


def pareto(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Directories or names of runs; default: the newest finished scaling, else search.",
        ),
    ] = None,
    objectives: Annotated[
        str,
        typer.Option(
            "--objectives",
            metavar="NAME,NAME...",
            help="What counts: accuracy, flops, macs, params, activations, memory, latency.",
        ),
    ] = "accuracy,flops",
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="CSV file to write; default: pareto.csv in the run, or in --results for several runs.",
            rich_help_panel="Output",
        ),
    ] = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the Pareto table of one or several runs, and write it as CSV.

    Example: scaler pareto effnet-b0-2x --objectives accuracy,flops,activations
    """
    from scaler.curves.pareto import parse_objectives
    from scaler.files import csv_text, reported, write_bytes
    from scaler.report.columns import CSV_FORMATS
    from scaler.report.pareto_table import pareto_table
    from scaler.report.run_tables import find_run

    output = Output(json, quiet)
    chosen = [find_run(results, name) for name in run] if run else [find_run(results, None)]
    output.note(f"Pareto table of {', '.join(str(one.path) for one in chosen)} on {objectives}")
    table = pareto_table(chosen, parse_objectives(objectives))
    for sentence in table.notes:
        output.note(sentence)
    path = to or (chosen[0].path if len(chosen) == 1 else results) / "pareto.csv"
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, csv_text(table.frame, CSV_FORMATS).encode())
    where = {"runs": [str(one.path) for one in chosen], "file": str(path)}
    output.result({**where, **table.json()}, table.rich())
    count = int(table.frame["on_front"].sum())
    output.note(f"{count} of {len(table.frame)} networks are on the front (*); written to {path}")
