"""``scaler runs``: what lies in the results."""

from __future__ import annotations

from pathlib import Path

from scaler.cli import options
from scaler.cli.console import Output, table


def runs(
    results: options.Results = Path("results"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the runs in the results, the newest last, one line each.

    Example: scaler runs
    """
    from scaler.runs import every_run

    output = Output(json, quiet)
    found = every_run(results)
    rows = [
        {
            "run": run.name,
            "kind": run.kind,
            "base": run.configuration["space"]["base"],
            "data": run.configuration["space"].get("data", ""),
            "begun": run.created,
            "finished": run.finished or None,
            "path": str(run.path),
        }
        for run in found
    ]
    columns = ("run", "kind", "base", "data", "begun", "finished")
    shown = [[_cell(name, row[name]) for name in columns] for row in rows]
    output.result(rows, table(dict.fromkeys(columns, "left"), shown))
    if not rows:
        output.note(f"There is no run in {results}; `scaler search` makes one.")


def _cell(name: str, value: object) -> str:
    if name in ("begun", "finished"):
        return str(value)[:16].replace("T", " ") if value else "no"
    return str(value)
