"""Scaling a spec: pure functions from a network and multipliers to another network."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace
from fractions import Fraction
from functools import singledispatch
from statistics import fmean, median

from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

#: Maps smaller than this at the end of a network waste its last stages.
SMALLEST_LAST_MAP = 4

#: Channels are multiples of this in networks of usual width.
COARSEST_DIVISOR = 8

#: Channels of a thin network's median stage, and of any stage, in steps of its rounding.
FEWEST_STEPS, NARROWEST_STEPS = 4, 6


@singledispatch
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
    step = width_step(stage)
    return replace(
        stage,
        width=rounding.channels(stage.width, multiplier, step) if stage.width else 0,
        branches=tuple(rounding.channels(width, multiplier) for width in stage.branches),
    )


def width_step(stage: Stage) -> int:
    """The least number of output channels whose inner channels (``expand``) make whole groups."""
    if not stage.group_width or not stage.expand:
        return 1
    return (Fraction(stage.group_width) / Fraction(stage.expand)).numerator


def _widen_head(head: Head, multiplier: float, rounding: Rounding) -> Head:
    convolution = max(1.0, multiplier) if head.never_narrower else multiplier
    return replace(
        head,
        width=rounding.channels(head.width, convolution) if head.width else 0,
        hidden=tuple(rounding.channels(width, multiplier) for width in head.hidden),
    )


@singledispatch
def effective(spec: NetworkSpec, base: NetworkSpec) -> Multipliers:
    """The multipliers a realised network has: total blocks, mean channels, pixels."""
    return Multipliers(
        spec.depth / base.depth if base.depth else 1.0,
        _mean_width(spec) / _mean_width(base),
        spec.resolution / base.resolution,
    )


def _mean_width(spec: NetworkSpec) -> float:
    return fmean(_stage_widths(spec))


def _stage_widths(spec: NetworkSpec) -> list[int]:
    """Of the stages that have channels of their own."""
    return [width for stage in spec.stages if (width := stage.total_width)]


def usual_rounding(spec: NetworkSpec) -> Rounding:
    """The rounding that suits a base: channels in multiples of 8, as hardware likes them; finer if narrow.

    A step is at most an eighth of the median stage's width: with coarser steps many budgets could not be
    met by width, and directions would fall together.
    """
    widths = _stage_widths(spec)
    finest = median(widths) / 8 if widths else COARSEST_DIVISOR
    divisor = COARSEST_DIVISOR
    while divisor > 1 and divisor > finest:
        divisor //= 2
    return Rounding(divisor=divisor)


def thinnest(spec: NetworkSpec, rounding: Rounding) -> float:
    """The width multiplier below which channels are too few to be scaled evenly.

    The median stage keeps :data:`FEWEST_STEPS` times the least number of channels that rounding can add.
    """
    steps = [
        math.lcm(rounding.divisor, width_step(stage)) / stage.total_width
        for stage in spec.stages
        if stage.total_width
    ]
    return min(FEWEST_STEPS * median(steps), 1.0) if steps else 0.01


def without_bottlenecks(spec: NetworkSpec, multiplier: float, rounding: Rounding) -> NetworkSpec:
    """The network with its narrow stages widened so that this width multiplier leaves them channels enough.

    A stage keeps :data:`NARROWEST_STEPS` times the least number of channels that rounding can add, or what
    it had if that is less. Through fewer, what the first weights happen to let pass decides how a short
    training ends. A stage that only adds channels to those it got is no such bottleneck.
    """

    def widened(stage: Stage) -> Stage:
        fewest = NARROWEST_STEPS * math.lcm(rounding.divisor, width_step(stage))
        least = 0 if stage.grows else math.ceil(min(fewest, stage.width) / multiplier)
        return replace(stage, width=max(stage.width, least))

    return replace(
        spec,
        stem=tuple(widened(stage) for stage in spec.stem),
        stages=tuple(widened(stage) for stage in spec.stages),
    )


@singledispatch
def identity(spec: NetworkSpec) -> Hashable:
    """What two realised networks share if they are the same network: all that the spec says.

    Networks that are the user's code (:mod:`scaler.networks.python_network`) are compared by what it built.
    """
    return spec


@singledispatch
def small(spec: NetworkSpec, resolution: int) -> NetworkSpec:
    """The variant for smaller images: early strides are dropped until the last map is at least 4x4.

    Strides go from the input on, because early layers lose the detail that a small image has little of;
    pooling without stride goes too, and a large stem kernel that no longer strides shrinks to 3. All
    convolutions get padding, and the head pools to no more than the last map. A network whose last map
    is large enough keeps all strides.
    """
    total = spec.total_stride
    if resolution >= max(spec.resolution, SMALLEST_LAST_MAP * total):
        return replace(spec, resolution=resolution)
    layers = [replace(stage, valid=False) for stage in (*spec.stem, *spec.stages)]
    for index, stage in enumerate(layers):
        if resolution >= SMALLEST_LAST_MAP * total:
            break
        if stage.stride > 1:
            total //= stage.stride
            kernel = 3 if index < len(spec.stem) and stage.kernel > 3 else stage.kernel
            layers[index] = replace(stage, stride=1, kernel=kernel)
    stem, stages = layers[: len(spec.stem)], layers[len(spec.stem) :]
    return replace(
        spec,
        stem=tuple(stage for stage in stem if not _pools_in_place(stage)),
        stages=tuple(stage for stage in stages if not _pools_in_place(stage)),
        head=replace(spec.head, pool=max(1, min(spec.head.pool, resolution // total))),
        resolution=resolution,
    )


def _pools_in_place(stage: Stage) -> bool:
    return stage.block.startswith("maxpool") and stage.stride == 1
