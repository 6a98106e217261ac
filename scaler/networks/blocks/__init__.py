"""Blocks: functions ``(c_in, stage, stride, style) -> Layer``, all with the same arguments.

A new block is one function and one line in :data:`BLOCKS`. ``stride`` is the stage's for its first
block and 1 for the others; ``style.drop_path`` is the rate for this very block.
"""

from __future__ import annotations

from collections.abc import Callable

from scaler.networks.blocks.dense import dense, transition
from scaler.networks.blocks.inception import (
    inception_a,
    inception_b,
    inception_c,
    inception_d,
    inception_e,
    inception_v1,
)
from scaler.networks.blocks.mobile import mbconv, separable
from scaler.networks.blocks.plain import bare, maxpool, maxpool_ceil, plain
from scaler.networks.blocks.residual import basic, basic_padded, bottleneck, preactivation
from scaler.networks.layers import Layer
from scaler.networks.spec import Stage, Style

Block = Callable[[int, Stage, int, Style], Layer]

BLOCKS: dict[str, Block] = {
    "bare": bare,
    "plain": plain,
    "maxpool": maxpool,
    "maxpool_ceil": maxpool_ceil,
    "mbconv": mbconv,
    "separable": separable,
    "basic": basic,
    "basic_padded": basic_padded,
    "preactivation": preactivation,
    "bottleneck": bottleneck,
    "dense": dense,
    "transition": transition,
    "inception_v1": inception_v1,
    "inception_a": inception_a,
    "inception_b": inception_b,
    "inception_c": inception_c,
    "inception_d": inception_d,
    "inception_e": inception_e,
}
