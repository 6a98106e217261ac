"""``scaler pareto``: which networks no other beats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.errors import UserError
from scaler.report.console import Output


def pareto(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Directories or names of runs; default: the newest finished scaling, else search.",
            autocompletion=options.complete_run,
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
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="The plain rule: better by nothing is better. Default: only by its standard error.",
        ),
    ] = False,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="Published networks too (EfficientNet, ResNet, DenseNet, SENet ...)."
        ),
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Also measure memory and latency of every network at its own size, on the device.",
        ),
    ] = False,
    device: options.Device = "auto",
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|json|md|latex",
            help="Of the file; default: by the ending of --output, else csv.",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="File to write; default: pareto.csv in the run, or in --results for several runs.",
            rich_help_panel="Output",
        ),
    ] = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the Pareto table of one or several runs, and write it as a file.

    A network is dominated if another costs no more and is significantly more accurate.

    Example: scaler pareto effnet-b0-2x --objectives accuracy,flops,activations
    """
    from functools import partial

    from scaler.api.measuring import with_costs
    from scaler.curves.pareto import parse_objectives
    from scaler.files import reported, write_bytes
    from scaler.report.pareto.formats import ENDINGS, TABLE_FORMATS
    from scaler.report.pareto.table import pareto_table
    from scaler.report.run_tables import find_runs

    output = Output(json, quiet)
    kind = _format(form, to)
    alone = not run and published and not _any(results)
    chosen = [] if alone else find_runs(results, run or ())
    places = [str(one.path) for one in chosen] + ["published networks"] * published
    output.note(f"Pareto table of {', '.join(places)} on {objectives}")
    table = pareto_table(
        chosen,
        parse_objectives(objectives),
        strict=strict,
        published=published,
        measure=partial(with_costs, output, device=device) if measure else None,
    )
    for sentence in table.notes:
        output.note(sentence)
    path = to or (chosen[0].path if len(chosen) == 1 else results) / f"pareto{ENDINGS[kind]}"
    option = "--output" if to else "--results"
    with reported(path, option):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, TABLE_FORMATS[kind](table.frame, table.columns).encode(), option)
    where = {"runs": [str(one.path) for one in chosen], "file": str(path)}
    output.result({**where, **table.json()}, table.rich())
    count = int(table.frame["on_front"].sum())
    output.note(f"{count} of {len(table.frame)} networks are on the front (*); written to {path}")


def _format(form: str | None, to: Path | None) -> str:
    """The format asked for, or that of the file's ending."""
    from scaler.report.pareto.formats import ENDINGS

    kinds = {ending: kind for kind, ending in ENDINGS.items()}
    kind = kinds.get(to.suffix if to else ".csv", "csv") if form is None else form
    if kind not in ENDINGS:
        raise UserError(f"--format {kind!r} is no table format: write one of {', '.join(ENDINGS)}")
    return kind


def _any(results: Path) -> bool:
    """Whether there is a finished run to show."""
    from scaler.runs import newest_finished

    return any(newest_finished(results, kind) for kind in ("scale", "search"))
