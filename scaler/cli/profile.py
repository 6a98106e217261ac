"""``scaler profile``: what a base network costs, at any multipliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaler.cli import early, options
from scaler.cli.console import Output, table
from scaler.errors import UserError
from scaler.scaling.budget import format_count
from scaler.scaling.multipliers import PUBLISHED, Coefficients, Multipliers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaler.cost.latency import Latency
    from scaler.cost.memory import Memory
    from scaler.cost.profile import BlockCost, Profile
    from scaler.networks.spec import NetworkSpec
    from scaler.networks.weights import Loaded
    from scaler.scaling.rounding import Rounding

#: A --resolution of this or more is pixels, one below it a multiplier.
_FEWEST_PIXELS, _MOST_PIXELS = 8, 8192
_MEMORY_BATCH, _LATENCY_BATCH = 32, 1

_COSTS = {"cost": "left", "value": "right", "exactly": "right", "note": "left"}
_BLOCKS = {"block": "left"} | dict.fromkeys(("output", "params", "flops", "macs", "activations"), "right")


class RoundingRule(StrEnum):
    """Names of the rounding rules."""

    search = "search"
    official = "official"

    def rule(self, base: NetworkSpec) -> Rounding:
        """The rule itself, for this base."""
        from scaler.networks.scale import usual_rounding
        from scaler.scaling.rounding import OFFICIAL

        return OFFICIAL if self is RoundingRule.official else usual_rounding(base)


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
        float | None, typer.Option(metavar="X", max=100, callback=options.finite, help="Depth multiplier.")
    ] = None,
    width: Annotated[
        float | None, typer.Option(metavar="X", max=100, callback=options.finite, help="Width multiplier.")
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(
            metavar="X|PIXELS",
            max=_MOST_PIXELS,
            callback=options.finite,
            help="Resolution: a multiplier below 8, pixels from 8 on (1.5, 336).",
        ),
    ] = None,
    phi: Annotated[
        float | None,
        typer.Option(
            metavar="PHI",
            min=-20,
            max=20,
            callback=options.finite,
            help="Raise the multipliers to this power; without any given, the published 1.2, 1.1, 1.15.",
        ),
    ] = None,
    small_image: Annotated[
        int | None,
        typer.Option(
            "--small",
            metavar="PIXELS",
            min=1,
            max=_MOST_PIXELS,
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
        typer.Option(metavar="N", min=1, max=1_000_000, help="Number of classes; default: the base's."),
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
            metavar="N", min=1, max=16_384, help="Images at once; default: 32 for --memory, 1 for --latency."
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
    output = Output(json, quiet)
    if batch is not None and not (memory or latency):
        raise UserError(f"--batch {batch} is of --memory or --latency: give one of them, or leave it out")
    if memory or latency:
        early.check(device=device)
    from scaler.cost.profile import block_costs, small_variant
    from scaler.cost.profile import profile as profile_of
    from scaler.networks.registry import base as find_base
    from scaler.networks.scale import small
    from scaler.networks.squeeze import with_se

    native = find_base(base).with_classes(classes) if classes else find_base(base)
    if se is not None:
        native = with_se(native, se, skip_last_stage=se_skip_last_stage)
    elif se_skip_last_stage:
        raise UserError("--se-skip-last-stage needs --se, e.g. --se 16")
    start = small(native, small_image) if small_image else native
    pixels = _pixels(resolution, phi, small_image)
    multipliers = _multipliers(depth, width, None if pixels else resolution, phi)
    with output.working(f"Counting {native.name}"):
        found = profile_of(start, multipliers, rounding.rule(native), pixels)
    data = found.record()
    lines = list(_sentences(found, rounding))
    if phi is not None and depth is width is resolution is None:
        lines.append(f"These are the published coefficients at phi = {phi:g}.")
    if small_image:
        data["variant"] = small_variant(start, native)
        lines.append(f"Small-image variant: {data['variant']}.")
    rows = list(_count_rows(found))
    if weights:
        loaded = _weights(found, weights)
        data["weights"] = asdict(loaded)
        note = f" ({loaded.note})" if loaded.note else ""
        lines.append(f"Weights: all {loaded.tensors} tensors fit, by the names of {loaded.library}{note}.")
    if memory:
        used = _memory(found, batch, device)
        data["memory"] = asdict(used)
        rows += _memory_rows(used)
    if latency:
        time = _latency(found, batch, device)
        data["latency"] = asdict(time)
        rows.append(_latency_row(time))
    shown: list[RenderableType] = [*lines, table(_COSTS, rows, fold="note")]
    if layers:
        blocks = block_costs(found.spec)
        data["layers"] = [{"block": b.name, "output": b.out, **asdict(b.cost)} for b in blocks]
        shown.append(table(_BLOCKS, map(_block_row, blocks)))
    output.result(data, *shown)


def _pixels(resolution: float | None, phi: float | None, small_image: int | None) -> int | None:
    """The resolution in pixels, if that is what was given."""
    if resolution is None or not resolution >= _FEWEST_PIXELS:
        return None
    if resolution != int(resolution):
        raise UserError(
            f"--resolution {resolution:g} must be whole pixels, or a multiplier below {_FEWEST_PIXELS}"
        )
    if phi is not None:
        raise UserError(
            f"--resolution {resolution:g} is pixels, which --phi cannot raise to a power; "
            "give a multiplier such as 1.15"
        )
    if small_image is not None:
        raise UserError(
            f"--small {small_image} and --resolution {resolution:g} both give the pixels; "
            "give one of them, or --resolution as a multiplier"
        )
    return int(resolution)


def _multipliers(
    depth: float | None, width: float | None, resolution: float | None, phi: float | None
) -> Multipliers:
    given = [1.0 if value is None else value for value in (depth, width, resolution)]
    if phi is None:
        return Multipliers(*given)
    if depth is width is resolution is None:
        return PUBLISHED.at(phi)
    Multipliers(*given)  # which says what is wrong with them
    return Coefficients(*given).at(phi)


def _sentences(found: Profile, rounding: RoundingRule) -> Iterator[str]:
    spec = found.spec
    yield f"{spec.name} at {spec.resolution} px, {spec.classes} classes"
    if spec.stages:
        depths, widths = ("-".join(map(str, values)) for values in (spec.depths, spec.widths))
        yield f"{spec.depth} blocks: {depths}, widths {widths}"
    if found.scaled:
        yield f"Asked for: {_words(found.nominal)} on {found.base.name} at {found.base.resolution} px."
        yield f"Realised ({rounding.value} rounding): {_words(found.effective)}."


def _words(multipliers: Multipliers) -> str:
    m = multipliers
    return f"depth {m.depth:.4g}, width {m.width:.4g}, resolution {m.resolution:.4g}"


_Row = tuple[str, str, str, str]


def _count_rows(found: Profile) -> Iterator[_Row]:
    notes = {
        "params": "trainable numbers",
        "flops": "fvcore's total for one image; a multiply-add is 1",
        "macs": "of convolutions and linear layers, as papers print",
        "activations": "outputs of convolutions and linear layers",
    }
    base = asdict(found.base_cost)
    for name, value in asdict(found.cost).items():
        note = f"{_times(value / base[name])} times the base" if found.scaled else notes[name]
        if name == "flops" and found.counted_by != "fvcore":
            note += f"; {found.counted_by}: too large for fvcore to run here"
        yield name, format_count(value), f"{value:,}", note


def _times(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 100 else f"{ratio:,.0f}"


def _weights(found: Profile, file: Path) -> Loaded:
    from scaler.networks.build import build
    from scaler.networks.weights import load_weights

    return load_weights(build(found.spec), file)


def _memory(found: Profile, batch: int | None, device: str) -> Memory:
    from scaler.cost.memory import memory
    from scaler.training.device import resolve

    return memory(found.spec, batch or _MEMORY_BATCH, resolve(device).torch)


def _latency(found: Profile, batch: int | None, device: str) -> Latency:
    from scaler.cost.latency import latency
    from scaler.training.device import resolve

    return latency(found.spec, batch or _LATENCY_BATCH, resolve(device).torch)


def _memory_rows(used: Memory) -> Iterator[_Row]:
    how = "measured" if used.measured else "counted: all tensors alive at one time"
    for name, value in (("training", used.training), ("inference", used.inference)):
        yield f"{name} memory", _bytes(value), f"{value:,}", f"peak with {_images(used.batch)}, {how}"


def _latency_row(time: Latency) -> _Row:
    threads = "" if time.device != "cpu" else f", {time.threads} thread{'s' * (time.threads > 1)}"
    return (
        "latency",
        f"{time.median:.3g} ms",
        "",
        f"{_images(time.batch)} on {time.device}{threads}; median of {time.repetitions}, "
        f"middle half {time.low:.3g} to {time.high:.3g} ms",
    )


def _images(number: int) -> str:
    return f"{number} image{'s' * (number > 1)}"


def _bytes(value: float) -> str:
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def _block_row(block: BlockCost) -> tuple[str, ...]:
    counts = (format_count(value) for value in asdict(block.cost).values())
    return block.name, " x ".join(map(str, block.out)), *counts
