"""From a spec to its tree of layers."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from scaler.errors import UserError
from scaler.networks.blocks.parts import norm, unit
from scaler.networks.blocks.registry import BLOCKS
from scaler.networks.layers import (
    Act,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    ResolutionTooSmallError,
    Seq,
    Shape,
    numbered,
    seq,
)
from scaler.networks.spec import Head, NetworkSpec, Stage, Style

#: Up to so many pixels, the smallest images that a network can take are looked for.
LARGEST_SOUGHT = 4096


@lru_cache(maxsize=4096)
def lower(spec: NetworkSpec) -> Seq:
    """The layers of a network: ``stem``, ``stages``, ``head``.

    Raises:
        ResolutionTooSmallError: the resolution is too small for the network's strides.
        UserError: a block is unknown.
    """
    try:
        return _lower(spec)
    except ResolutionTooSmallError as error:
        least = smallest_resolution(spec)
        raise ResolutionTooSmallError(
            f"{spec.name} cannot take images of {spec.resolution} px: {error}; "
            + (
                f"the smallest it can take is {least} px"
                if least
                else f"it takes none of up to {LARGEST_SOUGHT} px: give it smaller strides"
            )
        ) from error


def smallest_resolution(spec: NetworkSpec) -> int:
    """The least resolution at which no strided layer sees a map smaller than its stride, in pixels.

    0 if it is above :data:`LARGEST_SOUGHT`.
    """
    low, high = 0, LARGEST_SOUGHT + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _fits(replace(spec, resolution=middle)):
            high = middle
        else:
            low = middle
    return high if high <= LARGEST_SOUGHT else 0


def _fits(spec: NetworkSpec) -> bool:
    try:
        _lower(spec)
    except ResolutionTooSmallError:
        return False
    return True


def _lower(spec: NetworkSpec) -> Seq:
    if not spec.stages:
        raise UserError(f"{spec.name} has no stages of blocks that can be read")
    shape: Shape = (3, spec.resolution, spec.resolution)
    total, done = sum(stage.depth for stage in spec.stages), 0
    stem: list[Layer] = []
    for stage in spec.stem:
        blocks, shape = _stage(stage, shape, spec, 0, total)
        stem.append(blocks)
    stages: list[Layer] = []
    for stage in spec.stages:
        blocks, shape = _stage(stage, shape, spec, done, total)
        stages.append(blocks)
        done += stage.depth
    head = lower_head(shape, spec.head, spec.style, spec.classes)
    return seq(stem=numbered(stem), stages=numbered(stages), head=head)


def _stage(stage: Stage, shape: Shape, spec: NetworkSpec, done: int, total: int) -> tuple[Seq, Shape]:
    """The blocks of a stage; stochastic depth grows linearly over the network's blocks."""
    if stage.block not in BLOCKS:
        raise UserError(f"unknown block {stage.block!r} in {spec.name}; there are: {', '.join(BLOCKS)}")
    blocks: list[Layer] = []
    for index in range(stage.depth):
        style = replace(spec.style, drop_path=spec.style.drop_path * (done + index) / total)
        block = lower_block(stage, index, shape[0], style)
        shape = block.out(shape)
        blocks.append(block)
    return numbered(blocks), shape


def lower_block(stage: Stage, index: int, channels: int, style: Style) -> Layer:
    """One block of a stage, counted from 0, for an input of so many channels; the first has the stride."""
    return BLOCKS[stage.block](channels, stage, stage.stride if index == 0 else 1, style)


def lower_head(shape: Shape, head: Head, style: Style, classes: int) -> Seq:
    """What follows the stages: from maps of ``shape`` to scores."""
    channels = head.width or shape[0]
    layers: dict[str, Layer | None] = {
        "norm": norm(shape[0], style) if head.norm else None,
        "act": Act(style.activation) if head.norm else None,
        "conv": unit(shape[0], head.width, 1, style) if head.width else None,
        "pool": GlobalPool(head.pool),
        "flatten": Flatten(),
    }
    features = channels * head.pool**2
    for index, hidden in enumerate(head.hidden):
        layers[f"hidden{index}"] = Linear(features, hidden)
        layers[f"act{index}"] = Act(style.activation)
        layers[f"drop{index}"] = Dropout(head.dropout) if head.dropout else None
        features = hidden
    if not head.hidden and head.dropout:
        layers["drop"] = Dropout(head.dropout)
    layers["classifier"] = Linear(features, classes)
    return seq(**layers)
