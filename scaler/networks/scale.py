"""Scaling a spec: pure functions from a network and multipliers to another network."""

from __future__ import annotations

from dataclasses import replace

from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

#: Maps smaller than this at the end of a network waste its last stages.
SMALLEST_LAST_MAP = 4


def scale(spec: NetworkSpec, multipliers: Multipliers, rounding: Rounding) -> NetworkSpec:
    """Multiply depth, width and resolution; multipliers of 1 give the same network back.

    The stem and the head scale in width only; stages marked ``fixed`` keep their depth; the number of
    classes never changes.
    """
    free = [stage.depth for stage in spec.stages if not stage.fixed]
    depths = iter(rounding.depths(free, multipliers.depth) if free else ())
    stages = tuple(
        replace(
            _widen(stage, multipliers.width, rounding), depth=stage.depth if stage.fixed else next(depths)
        )
        for stage in spec.stages
    )
    return replace(
        spec,
        stem=tuple(_widen(stage, multipliers.width, rounding) for stage in spec.stem),
        stages=stages,
        head=_widen_head(spec.head, multipliers.width, rounding),
        resolution=rounding.pixels(spec.resolution, multipliers.resolution),
    )


def _widen(stage: Stage, multiplier: float, rounding: Rounding) -> Stage:
    return replace(
        stage,
        width=rounding.channels(stage.width, multiplier) if stage.width else 0,
        branches=tuple(rounding.channels(width, multiplier) if width else 0 for width in stage.branches),
    )


def _widen_head(head: Head, multiplier: float, rounding: Rounding) -> Head:
    return replace(
        head,
        width=rounding.channels(head.width, multiplier) if head.width else 0,
        hidden=tuple(rounding.channels(width, multiplier) for width in head.hidden),
    )


def effective(spec: NetworkSpec, base: NetworkSpec) -> Multipliers:
    """The multipliers a realised network has: total blocks, mean channels, pixels."""
    return Multipliers(
        spec.depth / base.depth,
        (sum(spec.widths) / len(spec.widths)) / (sum(base.widths) / len(base.widths)),
        spec.resolution / base.resolution,
    )


def small(spec: NetworkSpec, resolution: int) -> NetworkSpec:
    """The small-image variant: early strides are dropped until the last map is at least 4x4.

    Strides go from the input on, because early layers lose the detail that a small image has little of;
    a pooling layer without stride goes too, and a large stem kernel that no longer strides shrinks to 3.
    Convolutions get padding. A network whose last map is large enough keeps all strides.
    """
    layers = [*spec.stem, *spec.stages]
    if resolution >= SMALLEST_LAST_MAP * spec.total_stride:
        return replace(spec, resolution=resolution)
    for index, stage in enumerate(layers):
        layers[index] = replace(stage, valid=False)
    for index, stage in enumerate(layers):
        total = 1
        for other in layers:
            total *= other.stride
        if resolution >= SMALLEST_LAST_MAP * total:
            break
        if stage.stride > 1:
            kernel = 3 if index < len(spec.stem) and stage.kernel > 3 else stage.kernel
            layers[index] = replace(stage, stride=1, kernel=kernel)
    stem = [s for s in layers[: len(spec.stem)] if not (s.block == "maxpool" and s.stride == 1)]
    return replace(spec, stem=tuple(stem), stages=tuple(layers[len(spec.stem) :]), resolution=resolution)
