"""``scaler report`` and ``scaler plot``: a run's page and its pictures, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.errors import UserError
from scaler.report.console import Output


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
    from scaler.report.run_tables import find_runs

    chosen = find_runs(results, run or ())
    file = write_page(chosen, to)
    Output(json, quiet).result({"runs": [str(one.path) for one in chosen], "file": str(file)}, str(file))


def plot(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Directory or name of a run; default: the newest finished scaling, else search.",
            autocompletion=options.complete_run,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="png|svg", help="Of the pictures.", autocompletion=options.complete_picture
        ),
    ] = "png",
    to: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="DIR", help="Where to put them; default: the run.", rich_help_panel="Output"
        ),
    ] = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw the pictures of a run from its CSV files: curve, triangle, history.

    Example: scaler plot effnet-b0-2x --format svg
    """
    from scaler.report.pictures.of_run import save_pictures
    from scaler.report.pictures.style import FORMATS
    from scaler.report.run_tables import find_run

    known = {name: name for name in FORMATS}
    if form not in known:
        raise UserError(f"--format {form!r} is no picture format: write one of {', '.join(FORMATS)}")
    chosen = find_run(results, run)
    files = [str(path) for path in save_pictures(chosen, known[form], to)]
    Output(json, quiet).result({"run": str(chosen.path), "files": files}, *files)
