"""What is counted of a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Counts for one image.

    Attributes:
        params: trainable numbers.
        flops: fvcore's total: multiply-adds, plus 2 per normalised and 1 per adaptively pooled value.
        macs: multiply-adds of convolutions and linear layers, as papers print.
        activations: outputs of convolutions and linear layers.
    """

    params: int = 0
    flops: int = 0
    macs: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.flops + other.flops,
            self.macs + other.macs,
            self.activations + other.activations,
        )
