"""``scaler bases``: the base networks there are."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from typing import Annotated, Any

import typer

from scaler.cli import options
from scaler.cli.console import Output, table
from scaler.cost.exponents import measure
from scaler.cost.network_cost import cost
from scaler.networks.registry import FAMILIES, base
from scaler.networks.registry import bases as all_bases
from scaler.networks.spec import NetworkSpec
from scaler.networks.yaml_spec import schema as network_schema
from scaler.scaling.budget import format_count

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
    output = Output(json, quiet)
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
    if spec.family in FAMILIES:
        family = FAMILIES[spec.family]
        return family.ABOUT, family.SCALING
    if spec.stages:
        return "your own network, read from a file", (
            "depth multiplies the blocks of every stage that is not fixed; width multiplies the channels of "
            "stem, stages and head; resolution is the input's"
        )
    return "your own function", "the function decides what depth and width mean; resolution is the input's"
