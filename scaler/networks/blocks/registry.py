"""Blocks by name."""

from __future__ import annotations

from collections.abc import Callable

from scaler.networks.layers import Layer
from scaler.networks.spec import Stage, Style
from scaler.registry import Registry

Block = Callable[[int, Stage, int, Style], Layer]

BLOCKS: Registry[Block] = Registry(
    "block",
    "scaler.networks.blocks",
    {
        "bare": "plain:bare",
        "plain": "plain:plain",
        "maxpool": "plain:maxpool",
        "maxpool_ceil": "plain:maxpool_ceil",
        "mbconv": "mobile:mbconv",
        "separable": "mobile:separable",
        "basic": "residual:basic",
        "basic_padded": "residual:basic_padded",
        "preactivation": "residual:preactivation",
        "bottleneck": "residual:bottleneck",
        "dense": "dense:dense",
        "transition": "dense:transition",
        "inception_v1": "inception:inception_v1",
        "inception_a": "inception:inception_a",
        "inception_b": "inception:inception_b",
        "inception_c": "inception:inception_c",
        "inception_d": "inception:inception_d",
        "inception_e": "inception:inception_e",
    },
)
