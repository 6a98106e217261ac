"""``scaler spaces``: the search spaces there are."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from scaler.cli import options
from scaler.cli.console import Output, table
from scaler.errors import UserError
from scaler.search.spaces_directory import space_files


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
        output.text(_read(path), path.read_text(encoding="utf-8").rstrip())
        return
    found = {name: str(_read(path).get("about", "")) for name, path in space_files().items()}
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
    if path.is_file():
        return path
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4) or list(known)
    raise UserError(f"there is no search space or file {name!r}; there is {', '.join(near)}")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "its text"
        raise UserError(f"{path} is no YAML: mend {where}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no search space: it has no keys")
    return content
