"""Inception v3 (Szegedy et al., arXiv 1512.00567), without the auxiliary head."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.networks.spec import Head, NetworkSpec, Stage, Style

ABOUT = "Inception v3 without auxiliary head, as in torchvision; 299 px"
SCALING = (
    "every module is a stage: depth repeats modules (below 1 it changes nothing), except the two "
    "reductions, which stay; width multiplies the channels of the stem and of all branches; resolution is "
    "the input's"
)

_STEM = (
    Stage("plain", 1, 32, stride=2, valid=True),
    Stage("plain", 1, 32, valid=True),
    Stage("plain", 1, 64),
    Stage("maxpool", 1, 0, stride=2, valid=True),
    Stage("plain", 1, 80, kernel=1),
    Stage("plain", 1, 192, valid=True),
    Stage("maxpool", 1, 0, stride=2, valid=True),
)


def _a(pool: int) -> Stage:
    return Stage("inception_a", 1, 0, branches=(64, 48, 64, 64, 96, 96, pool))


def _c(inner: int) -> Stage:
    return Stage("inception_c", 1, 0, branches=(192, inner, inner, 192, *(inner,) * 4, 192, 192))


def _e() -> Stage:
    return Stage("inception_e", 1, 0, branches=(320, 384, 384, 384, 448, 384, 384, 384, 192))


def _reduction(block: str, *branches: int) -> Stage:
    return Stage(block, 1, 0, stride=2, branches=branches, valid=True, fixed=True)


def bases() -> Iterator[NetworkSpec]:
    """Inception v3 alone."""
    yield NetworkSpec(
        name="inception-v3",
        family="inception",
        stem=_STEM,
        stages=(
            *(_a(32), _a(64), _a(64)),
            _reduction("inception_b", 384, 64, 96, 96),
            *(_c(128), _c(160), _c(160), _c(192)),
            _reduction("inception_d", 192, 320, 192, 192, 192, 192),
            *(_e(), _e()),
        ),
        head=Head(dropout=0.5),
        resolution=299,
        style=Style(norm_eps=1e-3),
    )
