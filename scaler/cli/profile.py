"""``scaler profile``: what a base network costs, at any multipliers."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaler.api import profiling
from scaler.cli import options
from scaler.report.console import Output, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_COSTS = {"cost": "left", "value": "right", "exactly": "right", "note": "left"}
_BLOCKS = {"block": "left"} | dict.fromkeys(("output", "params", "flops", "macs", "activations"), "right")


class RoundingRule(StrEnum):
    """Names of the rounding rules."""

    search = "search"
    official = "official"


def profile(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE",
            help="A base network (`scaler bases` lists them), a YAML file, or module:function.",
            autocompletion=options.complete_base,
        ),
    ],
    depth: Annotated[
        float | None,
        typer.Option(
            metavar="X", **options.bounds("depth"), callback=options.finite, help="Depth multiplier."
        ),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(
            metavar="X", **options.bounds("width"), callback=options.finite, help="Width multiplier."
        ),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(
            metavar="X|PIXELS",
            **options.bounds("resolution"),
            callback=options.finite,
            help="Resolution: a multiplier below 8, pixels from 8 on (1.5, 336).",
        ),
    ] = None,
    phi: Annotated[
        float | None,
        typer.Option(
            metavar="PHI",
            **options.bounds("phi"),
            callback=options.finite,
            help="Raise the multipliers to this power; without any given, the published 1.2, 1.1, 1.15.",
        ),
    ] = None,
    small_image: Annotated[
        int | None,
        typer.Option(
            "--small",
            metavar="PIXELS",
            **options.bounds("small"),
            help="The small-image variant: early strides dropped until the last map is 4x4 or more.",
        ),
    ] = None,
    se: options.Se = None,
    se_skip_last_stage: options.SeSkipLastStage = False,
    rounding: Annotated[
        RoundingRule, typer.Option(help="How scaled layers and channels become whole numbers.")
    ] = RoundingRule.search,
    classes: Annotated[
        int | None,
        typer.Option(
            metavar="N", **options.bounds("classes"), help="Number of classes; default: the base's."
        ),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Also the cost of every block.")] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Also the peak memory of training and of inference.")
    ] = False,
    latency: Annotated[
        bool, typer.Option("--latency", help="Also the time of inference, measured here.")
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            **options.bounds("batch"),
            help="Images at once; default: 32 for --memory, 1 for --latency.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also load a state dict of torchvision, timm or Scaler (.pth), and check it."
        ),
    ] = None,
    device: options.Device = "cpu",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count what a network costs: params, flops, macs, activations, memory, latency.

    Example: scaler profile effnet-b0 --depth 1.2 --width 1.1 --resolution 1.15
    """  # fmt: skip
    from scaler.report.answers.profile import block_row

    output = Output(json, quiet)
    with output.working(f"Counting {base}"):
        found = profiling.profile(
            base,
            depth=depth,
            width=width,
            resolution=resolution,
            phi=phi,
            small=small_image,
            se=se,
            se_skip_last_stage=se_skip_last_stage,
            rounding=rounding.value,
            classes=classes,
            memory=memory,
            latency=latency,
            batch=batch,
            weights=weights,
            device=device,
        )
    data = found.profile.record()
    if found.variant:
        data["variant"] = found.variant
    for name in ("weights", "memory", "latency"):
        if (part := getattr(found, name)) is not None:
            data[name] = asdict(part)
    rows = [(row.cost, row.value, row.exactly, row.note) for row in found.rows]
    shown: list[RenderableType] = [*found.lines, table(_COSTS, rows, fold="note")]
    if layers:
        data["layers"] = [{"block": b.name, "output": b.out, **asdict(b.cost)} for b in found.blocks]
        shown.append(table(_BLOCKS, map(block_row, found.blocks)))
    output.result(data, *shown)
