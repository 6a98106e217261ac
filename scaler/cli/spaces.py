"""``scaler spaces``: the search spaces there are."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.cli.console import Output, table
from scaler.errors import UserError
from scaler.files import read_text
from scaler.search.spaces_directory import space_files
from scaler.yaml_files import read


def spaces(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            help="Print this search space.",
            autocompletion=options.complete_space,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the search spaces, or print one of them as a start for your own.

    Example: scaler spaces quick > mine.yaml
    """
    output = Output(json, quiet)
    if name is not None:
        path = _find(name)
        output.text(read(path).content, read_text(path).rstrip())
        return
    found = {name: str(read(path).content.get("about", "")) for name, path in space_files().items()}
    output.result(
        [{"space": name, "about": about} for name, about in found.items()],
        table({"space": "left", "about": "left"}, found.items(), fold="about"),
    )
    output.note(
        "`scaler spaces NAME` prints one; `scaler search --space NAME` or `--space FILE.yaml` uses it."
    )


def _find(name: str) -> Path:
    known = space_files()
    path = known.get(name, Path(name))
    if name in known or path.suffix in (".yaml", ".yml") or os.path.lexists(path):
        return path
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4) or list(known)
    raise UserError(f"there is no search space or file {name!r}; there is {', '.join(near)}")
