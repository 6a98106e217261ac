"""Squeeze-and-excitation as a modifier of any network (Hu et al., arXiv 1709.01507)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import groupby

from scaler.errors import UserError
from scaler.networks.spec import NetworkSpec, Position, SqueezeExcite, Stage

#: Blocks that only change size or number of channels.
_WITHOUT = ("maxpool", "maxpool_ceil", "transition")


def with_se(
    spec: NetworkSpec,
    reduction: float = 16,
    *,
    skip_last_stage: bool = False,
    stages: Collection[int] | None = None,
    position: Position = "standard",
) -> NetworkSpec:
    """The same network with an excitation in every block of its body.

    It stands where the paper puts it: in a residual block before the addition, after the joining of an
    Inception module, after the activation of a plain convolution, after a separable convolution. Inverted
    residuals have it on their expanded channels, as MnasNet and EfficientNet do.

    Args:
        spec: any network; where it has excitations already, they are replaced.
        reduction: channels over hidden channels, 16 in the paper.
        skip_last_stage: leave the last stage out; most of the weights are there (section 6.4).
        stages: which stages get it, counted from 1; all, if None. A stage is a run of blocks with the
            same map size, such as ``conv2`` to ``conv5`` of a ResNet.
        position: in blocks with a shortcut (section 6.4 and figure 5 of the paper); in others ``pre`` is
            before the block and ``post`` the same as ``standard``.

    Raises:
        UserError: the network is the user's own code, the reduction is below 1, a stage is not there, or
            none is left.
    """
    if not spec.stages:
        raise UserError(f"squeeze-and-excitation cannot be added to {spec.name}: its blocks are not known")
    if reduction < 1:
        raise UserError(f"the reduction of squeeze-and-excitation must be at least 1, not {reduction:g}")
    numbers = _stage_numbers(spec.stages)
    last = max(numbers)
    wanted = set(range(1, last + 1)) if stages is None else set(stages)
    if beyond := sorted(wanted - set(range(1, last + 1))):
        raise UserError(f"{spec.name} has stages 1 to {last}; there is no stage {beyond[0]}")
    if skip_last_stage:
        wanted.discard(last)
    if not wanted:
        raise UserError(f"no stage of {spec.name} is left for squeeze-and-excitation")
    se = SqueezeExcite(reduction, position)
    return replace(
        spec,
        name=spec.name if spec.name.startswith("se-") else f"se-{spec.name}",
        stages=tuple(
            replace(stage, se=se if number in wanted and stage.block not in _WITHOUT else None)
            for stage, number in zip(spec.stages, numbers, strict=True)
        ),
    )


def without_se(spec: NetworkSpec, blocks: Collection[tuple[int, int]]) -> NetworkSpec:
    """The same network without the excitations of some blocks.

    A stage that keeps some of its excitations is split, for a stage's blocks are alike.

    Args:
        spec: any network.
        blocks: stage and block, each counted from 0 as in the names of its modules.
    """
    stages = tuple(
        part for number, stage in enumerate(spec.stages) for part in _split(stage, number, set(blocks))
    )
    return replace(spec, stages=stages)


def _split(stage: Stage, number: int, dropped: set[tuple[int, int]]) -> Iterator[Stage]:
    for gone, run in groupby(range(stage.depth), lambda block: (number, block) in dropped):
        blocks = list(run)
        yield replace(
            stage,
            depth=len(blocks),
            stride=stage.stride if blocks[0] == 0 else 1,
            se=None if gone else stage.se,
        )


def _stage_numbers(stages: tuple[Stage, ...]) -> list[int]:
    """The number of the map size at which each stage works; pooling belongs to the blocks after it."""
    number, numbers, pooled = 0, [], False
    for stage in stages:
        if stage.block in _WITHOUT:
            pooled = pooled or stage.stride > 1
            numbers.append(number)
            continue
        if number == 0 or pooled or stage.stride > 1:
            number, pooled = number + 1, False
        numbers.append(number)
    return numbers
