"""One value object says how multiplied depths, widths and resolutions become whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from scaler.checked import Number, Whole

#: Channels and pixels in steps coarser than this are no network's.
COARSEST = 1024

_Step = Annotated[Whole, Field(ge=1, le=COARSEST)]


@dataclass(frozen=True)
class Rounding:
    """Rounding rules, saved with every result.

    Attributes:
        depth: ``ceil`` rounds the layers of each stage up (EfficientNet's code); ``spread`` rounds
            their total and spreads it over the stages by largest remainder, so that
            every layer more is another network and no stage jumps ahead.
        divisor: channels are multiples of this.
        least: a rounded width is never below this part of the multiplied one (else one divisor more).
        resolution_step: pixels are multiples of this.
    """

    depth: Literal["ceil", "spread"] = "spread"
    divisor: _Step = 8
    least: Annotated[Number, Field(ge=0, le=1)] = 0.9
    resolution_step: _Step = 1

    def depths(self, base: Sequence[int], multiplier: float) -> tuple[int, ...]:
        """Layers of every stage; at least 1 each. A multiplier of 1 changes nothing."""
        if self.depth == "ceil":
            # The tolerance keeps 1.1 * 10 at 11 where floating point says 11.000000000000002.
            return tuple(max(1, math.ceil(depth * multiplier - 1e-9)) for depth in base)
        return spread(base, max(len(base), math.floor(sum(base) * multiplier + 0.5)))

    def channels(self, width: float, multiplier: float, group: int = 1) -> int:
        """A multiple of the divisor and of ``group``, the nearest that is not too far down."""
        if multiplier == 1 and width == int(width) and width % group == 0:
            return int(width)
        return round_to(width * multiplier, math.lcm(self.divisor, group), self.least)

    def pixels(self, resolution: int, multiplier: float) -> int:
        """The nearest multiple of the resolution step, at least one step."""
        if multiplier == 1:
            return resolution
        step = self.resolution_step
        return max(step, math.floor(resolution * multiplier / step + 0.5) * step)


#: The rule of EfficientNet's published code (tensorflow/tpu, efficientnet_builder.py).
OFFICIAL = Rounding(depth="ceil")


def round_to(value: float, divisor: int, least: float = 0.9) -> int:
    """The multiple of ``divisor`` nearest to ``value``, never below ``least * value``."""
    rounded = max(divisor, math.floor(value / divisor + 0.5) * divisor)
    return rounded + divisor if rounded < least * value else rounded


def spread(base: Sequence[int], total: int) -> tuple[int, ...]:
    """Spread ``total`` layers over stages in proportion to ``base``, at least 1 each.

    Largest remainder (Hamilton); ties go to the earlier stage. ``total`` below the number of
    stages is raised to it.
    """
    total = max(total, len(base))
    shares = [depth * total / sum(base) for depth in base]
    depths = [max(1, math.floor(share + 1e-9)) for share in shares]
    while sum(depths) < total:
        stage = max(range(len(base)), key=lambda i: (shares[i] - depths[i], -i))
        depths[stage] += 1
    while sum(depths) > total:
        stage = min((i for i in range(len(base)) if depths[i] > 1), key=lambda i: (shares[i] - depths[i], i))
        depths[stage] -= 1
    return tuple(depths)
