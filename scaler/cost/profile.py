"""A network and its cost beside the base that it was scaled from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from scaler.cost.closed_form import closed_form, layer_cost
from scaler.cost.counts import Cost
from scaler.errors import UserError
from scaler.networks.layers import Layer, Seq, Shape
from scaler.networks.lowering import lower
from scaler.networks.python_network import PythonNetwork
from scaler.networks.scale import effective, scale
from scaler.networks.spec import NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

#: fvcore runs what it counts; networks with more parameters or activations than this are only worked out.
_MOST_NUMBERS = 2_000_000_000


@dataclass(frozen=True)
class Profile:
    """What a network costs.

    Attributes:
        spec: the network.
        base: what it was scaled from.
        nominal: the multipliers asked for.
        rounding: how they became whole numbers.
        cost: of the network.
        base_cost: of the base.
        counted_by: ``fvcore``, or ``closed form`` for networks too large to run here.
    """

    spec: NetworkSpec
    base: NetworkSpec
    nominal: Multipliers
    rounding: Rounding
    cost: Cost
    base_cost: Cost
    counted_by: str

    @property
    def effective(self) -> Multipliers:
        """The multipliers that the network has after rounding."""
        return effective(self.spec, self.base)

    @property
    def scaled(self) -> bool:
        """Whether the network is another one than its base."""
        return self.spec != self.base

    def record(self) -> dict[str, Any]:
        """The profile as plain data; depth and width are effective multipliers, resolution is in pixels."""
        multipliers = self.effective
        return {
            "network": self.spec.name,
            "resolution": self.spec.resolution,
            **asdict(self.cost),
            "flops_ratio": self.cost.flops / self.base_cost.flops,
            "depth": multipliers.depth,
            "width": multipliers.width,
            "blocks": self.spec.depth or None,
            "stage_depths": self.spec.depths,
            "stage_widths": self.spec.widths,
            "classes": self.spec.classes,
            "nominal": asdict(self.nominal),
            "rounding": asdict(self.rounding),
            "counted_by": self.counted_by,
        }


def profile(
    base: NetworkSpec, multipliers: Multipliers, rounding: Rounding, pixels: int | None = None
) -> Profile:
    """Scale a base and count it.

    Args:
        base: the network to scale.
        multipliers: asked for.
        rounding: how they become whole numbers.
        pixels: the resolution, instead of the multiplied one.

    Raises:
        UserError: the resolution is too small for the network's strides.
    """
    spec = scale(base, multipliers, rounding)
    if pixels is not None:
        spec = replace(spec, resolution=pixels)
        multipliers = replace(multipliers, resolution=pixels / base.resolution)
    cost, counted_by = _count(spec)
    return Profile(spec, base, multipliers, rounding, cost, _count(base)[0], counted_by)


def _count(spec: NetworkSpec) -> tuple[Cost, str]:
    """The cost of a network, and who counted it; tests hold the two equal."""
    from scaler.cost.counting import count_by_blocks  # fvcore needs torch

    if not isinstance(spec, PythonNetwork):
        expected = closed_form(spec)
        if max(expected.activations, expected.params) > _MOST_NUMBERS:
            return expected, "closed form"
    return count_by_blocks(spec), "fvcore"


@dataclass(frozen=True)
class BlockCost:
    """A block, the shape that leaves it, and its cost."""

    name: str
    out: Shape
    cost: Cost


def block_costs(spec: NetworkSpec) -> list[BlockCost]:
    """The cost of every block of stem and stages (``stages.STAGE.BLOCK``), and of the head's layers.

    Raises:
        UserError: the network is the user's own code, which nobody can look into.
    """
    if not spec.stages:
        raise UserError(f"{spec.name} is Python code; its blocks cannot be listed, only its whole cost")
    shape: Shape = (3, spec.resolution, spec.resolution)
    found: list[BlockCost] = []
    for part, layer in lower(spec).children:
        found += _walk(part, layer, shape, levels=1 if part == "head" else 2)
        shape = layer.out(shape)
    return [block for block in found if block.cost != Cost() or block.name.startswith("st")]


def _walk(name: str, layer: Layer, shape: Shape, levels: int) -> Iterator[BlockCost]:
    if levels == 0 or not isinstance(layer, Seq):
        yield BlockCost(name, layer.out(shape), layer_cost(layer, shape))
        return
    for child_name, child in layer.children:
        yield from _walk(f"{name}.{child_name}", child, shape, levels - 1)
        shape = child.out(shape)


def small_variant(spec: NetworkSpec, native: NetworkSpec) -> str:
    """In words: what the small-image variant of a network changed, for its readers to know."""
    if not spec.stages:
        return f"{spec.resolution} px; strides are as the code makes them"
    shape = lower(spec).children[0][1].out((3, spec.resolution, spec.resolution))
    last = lower(spec).children[1][1].out(shape)
    size = f"the last map is {last[1]} x {last[2]}"
    if spec.total_stride == native.total_stride:
        return f"{spec.resolution} px, all strides kept ({native.total_stride} in all); {size}"
    return (
        f"{spec.resolution} px, strides reduced from {_strides(native)} ({native.total_stride} in all) "
        f"to {_strides(spec)} ({spec.total_stride} in all); {size}"
    )


def _strides(spec: NetworkSpec) -> str:
    """Strides of the stem's stages, then of the body's."""
    parts = ("-".join(str(stage.stride) for stage in stages) for stages in (spec.stem, spec.stages))
    return " | ".join(part for part in parts if part)
