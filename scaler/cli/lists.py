"""``scaler bases``, ``spaces``, ``data``, ``runs``: what there is."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaler.cli import options
from scaler.errors import UserError
from scaler.files import read_text
from scaler.report.console import Output, table
from scaler.scaling.budget import format_count
from scaler.search.spaces_directory import space_files

if TYPE_CHECKING:
    from scaler.networks.spec import NetworkSpec

_LIST = {"network": "left", "family": "left", "resolution": "right", "params": "right", "macs": "right"}
_STAGES = {"stage": "left", "block": "left", "layers": "right", "width": "right", "stride": "right"}


def bases(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Show this base network's stages and how it scales.",
            autocompletion=options.complete_base,
        ),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of network files instead.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the base networks, or show how one of them scales.

    Example: scaler bases effnet-b0
    """
    from scaler.cost.exponents import measure
    from scaler.cost.network_cost import cost
    from scaler.networks.registry import base
    from scaler.networks.registry import bases as all_bases
    from scaler.networks.yaml_spec import schema as network_schema

    output = Output(json, quiet)
    if schema and name is not None:
        raise UserError(f"--schema is of all networks, so {name} would be ignored: leave one of them out")
    if schema:
        output.text(network_schema(), dumps(network_schema(), indent=2))
        return
    if name is None:
        specs = all_bases().values()
        rows = [
            (s.name, s.family, f"{s.resolution} px", format_count(cost(s).params), format_count(cost(s).macs))
            for s in specs
        ]
        output.result([_summary(spec) for spec in specs], table(_LIST, rows))
        output.note("`scaler bases NAME` says how one scales; your own: --base FILE.yaml or module:function.")
        return
    spec = base(name)
    about, scaling = _family(spec)
    stages = [
        dict(zip(_STAGES, (part, s.block, s.depth, s.width or sum(s.branches) or "", s.stride), strict=True))
        for part, s in [*(("stem", s) for s in spec.stem), *((str(i), s) for i, s in enumerate(spec.stages))]
    ]
    counted = cost(spec)
    grows = measure(spec)
    output.result(
        {**_summary(spec), "about": about, "scaling": scaling, "exponents": asdict(grows), "stages": stages},
        f"{spec.name} ({spec.family}): {about}.",
        f"Scaling: {scaling}.",
        f"At {spec.resolution} px with {spec.classes} classes: {format_count(counted.params)} params, "
        f"{format_count(counted.macs)} macs, {format_count(counted.flops)} flops, "
        f"{format_count(counted.activations)} activations.",
        f"FLOPs grow as depth^({grows.depth}), width^({grows.width}), resolution^({grows.resolution}), "
        "measured from 1x to 2x.",
        *([table(_STAGES, [stage.values() for stage in stages])] if stages else []),
    )


def _summary(spec: NetworkSpec) -> dict[str, Any]:
    from scaler.cost.network_cost import cost

    counted = cost(spec)
    return {
        "network": spec.name,
        "family": spec.family,
        "resolution": spec.resolution,
        "params": counted.params,
        "flops": counted.flops,
        "macs": counted.macs,
        "activations": counted.activations,
    }


def _family(spec: NetworkSpec) -> tuple[str, str]:
    """What a family is and how it scales."""
    from scaler.networks.registry import FAMILIES

    if spec.family in FAMILIES:
        family = FAMILIES[spec.family]
        return family.ABOUT, family.SCALING
    if spec.stages:
        return "your own network, read from a file", (
            "depth multiplies the blocks of every stage that is not fixed; width multiplies the channels of "
            "stem, stages and head; resolution is the input's"
        )
    return "your own function", "the function decides what depth and width mean; resolution is the input's"


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
    from scaler.yaml_files import read

    output = Output(json, quiet)
    if name is not None:
        from scaler.search.space import Space
        from scaler.yaml_files import read_model

        path = _space_file(name)
        read_model(path, Space)  # which says what is wrong with it
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


def _space_file(name: str) -> Path:
    known = space_files()
    path = known.get(name, Path(name))
    if name in known or path.suffix in (".yaml", ".yml") or os.path.lexists(path):
        return path
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4) or list(known)
    raise UserError(f"there is no search space or file {name!r}; there is {', '.join(near)}")


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
    shown = [[_run_cell(name, row[name]) for name in columns] for row in rows]
    output.result(rows, table(dict.fromkeys(columns, "left"), shown))
    if not rows:
        output.note(f"There is no run in {results}; `scaler search` makes one.")


def _run_cell(name: str, value: object) -> str:
    if name in ("begun", "finished"):
        return str(value)[:16].replace("T", " ") if value else "no"
    return str(value)
