"""``scaler export``: a grown network in a format that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.report.console import Output


def export(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Directory or name of a scaling, or of a search that kept its weights; default: the newest "
            "finished scaling.",
        ),
    ] = None,
    phi: Annotated[float, typer.Option(metavar="PHI", help="Of the network.")] = 1.0,
    policy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By which it grew, e.g. depth; default: the chosen one."),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="onnx|pt2|safetensors|spec|script",
            help="ONNX, torch.export, weights, YAML, or a file that trains it on a folder of images.",
        ),
    ] = "onnx",
    proxy: Annotated[
        bool,
        typer.Option(
            "--proxy", help="The small network that was trained, with its weights; else at its own size."
        ),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="File to write; default: in networks/ of the run.",
            rich_help_panel="Output",
        ),
    ] = None,
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a grown network as ONNX, pt2, safetensors, spec or training script, checked against the module.

    Example: scaler export effnet-b0-phi-4 --phi 2 --to onnx
    """
    from scaler.growth.export import export as write_export
    from scaler.report.run_tables import find_run

    output = Output(json, quiet)
    chosen = find_run(results, run, kind="scale")
    output.note(f"{'Search' if chosen.kind == 'search' else 'Scaling':11} {chosen.path}")
    with output.working(f"Writing {form}"):
        found = write_export(chosen, phi, form, policy=policy, proxy=proxy, file=to)
    if not proxy and form not in ("spec", "script"):
        output.note("The network at its own size has fresh weights: only its proxy was trained (--proxy)")
    lines = [str(found.file)]
    if found.difference is not None:
        lines.append(f"Its scores differ from the network's by {found.difference:.1e} at the most.")
    output.result(found, *lines, "", found.snippet)
