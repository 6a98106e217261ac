"""docs/cli.md and docs/inspect.md against the commands: every option is told, and none that is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from scaler.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


def options() -> dict[str, set[str]]:
    """The options of every command, such as ``search`` or ``inspect cam``."""
    found: dict[str, set[str]] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        for path, one in {f"{name} {n}": c for n, c in inner.items()}.items() if inner else [(name, command)]:
            names = {option for p in one.params for option in (*p.opts, *p.secondary_opts)}
            found[path] = {option for option in names if option.startswith("--")} - {"--help"}
    return found


def section(command: str) -> str:
    """What the pages say of a command: all that follows headings with its name; for views, their page."""
    if command.startswith("inspect"):
        return (DOCS / "inspect.md").read_text(encoding="utf-8")
    parts = re.split(r"(?m)^## ", (DOCS / "cli.md").read_text(encoding="utf-8"))
    return "".join(part for part in parts[1:] if re.search(rf"`(scaler )?{command}`", part.splitlines()[0]))


@pytest.mark.parametrize(("command", "names"), options().items(), ids=list(options()))
def test_every_option_is_told(command: str, names: set[str]) -> None:
    text = section(command)
    assert text, f"no heading names `scaler {command}`"
    told = set(_OPTION.findall(text))
    assert names <= told, f"`scaler {command}`: the page does not tell {sorted(names - told)}"


def test_no_option_is_told_that_does_not_exist() -> None:
    known = set.union(*options().values()) | {"--help", "--version"}
    tables = "".join(line for line in (DOCS / "cli.md").read_text().splitlines() if line.startswith("|"))
    assert set(_OPTION.findall(tables)) <= known
