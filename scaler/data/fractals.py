"""Fractal images drawn from iterated function systems, as in FractalDB (Kataoka et al., ACCV 2020).

A class is a set of affine maps. Children of one parent perturb its maps, so that their patterns are alike.
Every image jitters its class's maps a little, is turned, scaled and moved, and painted in colours of its
own on a background of its own: only the shape tells the class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scaler.data.dataset import PartName
from scaler.data.source import Source
from scaler.seeds import derive

#: Part of the fingerprint: to be raised when the same settings draw other images.
VERSION = 1
_PARTS: tuple[PartName, ...] = ("train", "validation", "test")
_WALKERS, _BURN_IN = 256, 8


@dataclass(frozen=True)
class Settings:
    """What is drawn.

    Attributes:
        parents: systems drawn independently.
        children: classes per parent; the first is the parent itself.
        maps: fewest and most affine maps of a system.
        spread: perturbation of a child's maps, as a part of the parent's coefficients.
        jitter: the same for every image against its class.
        turn: largest rotation of an image, in radians.
        zoom: smallest scale of an image; the largest is 1.
        move: largest shift of an image as a part of its side.
        noise: deviation of the pixel noise, in parts of the full range.
        images: images per class in every part.
        seed: of everything drawn.
    """

    parents: int = 24
    children: int = 4
    maps: tuple[int, int] = (3, 6)
    spread: float = 0.18
    jitter: float = 0.04
    turn: float = 0.4
    zoom: float = 0.7
    move: float = 0.1
    noise: float = 0.08
    images: dict[PartName, int] = field(
        default_factory=lambda: {"train": 64, "validation": 24, "test": 24}, hash=False
    )
    seed: int = 0

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.parents * self.children


#: Largest images drawn.
NATIVE_RESOLUTION = 512


def source(settings: Settings | None = None, *, seed: int = 0) -> Source:
    """The fractals; nothing is drawn before a part is asked for."""
    settings = settings or Settings(seed=seed)
    labels = {
        part: np.repeat(np.arange(settings.classes, dtype=np.int64), settings.images[part]) for part in _PARTS
    }
    return Source(
        name="fractals",
        classes=tuple(
            f"{parent:03d}-{child}"
            for parent in range(settings.parents)
            for child in range(settings.children)
        ),
        labels=labels,
        native_resolution=NATIVE_RESOLUTION,
        fingerprint=hashlib.sha256(f"fractals {VERSION} {settings!r}".encode()).hexdigest(),
        notes=(),
        draw=partial(_draw, settings),
        any_resolution=True,
    )


def _draw(settings: Settings, part: PartName, resolution: int) -> Iterator[NDArray[np.uint8]]:
    """All images of one class at a time."""
    for parent in range(settings.parents):
        for child, maps in enumerate(_family(settings, parent)):
            seed = derive(settings.seed, "images", part, parent, child)
            yield _images(settings, maps, settings.images[part], resolution, np.random.default_rng(seed))


def _family(settings: Settings, parent: int) -> list[NDArray[np.float64]]:
    """Maps ``[maps, 6]`` of every child: coefficients a, b, c, d and translation e, f."""
    generator = np.random.default_rng(derive(settings.seed, "parent", parent))
    maps = _system(settings, generator)
    family = [maps]
    while len(family) < settings.children:
        child = maps * (1 + settings.spread * generator.uniform(-1, 1, maps.shape))
        family.append(child)
    return family


def _system(settings: Settings, generator: np.random.Generator) -> NDArray[np.float64]:
    """Contractive maps whose pattern fills a fair part of its frame."""
    while True:
        count = int(generator.integers(settings.maps[0], settings.maps[1] + 1))
        turn = generator.uniform(-np.pi, np.pi, (2, count))
        sizes = generator.uniform(0.25, 0.75, (2, count)) * generator.choice([-1, 1], (2, count))
        (ca, sa), (cb, sb) = (np.cos(turn[0]), np.sin(turn[0])), (np.cos(turn[1]), np.sin(turn[1]))
        a = ca * sizes[0] * cb - sa * sizes[1] * sb
        b = -ca * sizes[0] * sb - sa * sizes[1] * cb
        c = sa * sizes[0] * cb + ca * sizes[1] * sb
        d = -sa * sizes[0] * sb + ca * sizes[1] * cb
        shift = generator.uniform(-1, 1, (2, count))
        maps = np.stack([a, b, c, d, shift[0], shift[1]], axis=1)
        points, _ = _walk(maps[None], 8, np.random.default_rng(0))
        filled = len(np.unique(np.floor(_framed(points)[0] * 32).clip(0, 31) @ np.array([1, 32])))
        if 0.15 < filled / 32**2 < 0.6:
            return maps


def _walk(
    maps: NDArray[np.float64], steps: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The chaos game, many walkers at once.

    Args:
        maps: ``[images, maps, 6]``.
        steps: points recorded per walker.
        generator: of the maps' order.

    Returns:
        Points ``[images, points, 2]`` and the last map of each ``[images, points]``.
    """
    images, count, _ = maps.shape
    area = np.abs(maps[0, :, 0] * maps[0, :, 3] - maps[0, :, 1] * maps[0, :, 2]) + 0.02
    table = np.searchsorted(np.cumsum(area / area.sum()), (np.arange(256) + 0.5) / 256).clip(0, count - 1)
    flat = maps.reshape(images * count, 6).astype(np.float32)
    x = np.zeros((images, _WALKERS), dtype=np.float32)
    y = np.zeros_like(x)
    points, last = [], []
    for step in range(_BURN_IN + steps):
        chosen = table[generator.integers(0, 256, (images, _WALKERS), dtype=np.uint8)]
        a, b, c, d, e, f = np.moveaxis(flat[chosen + np.arange(images)[:, None] * count], 2, 0)
        x, y = a * x + b * y + e, c * x + d * y + f
        if step >= _BURN_IN:
            points.append(np.stack([x, y], axis=2))
            last.append(chosen)
    return np.concatenate(points, axis=1).astype(np.float64), np.concatenate(last, axis=1)


def _framed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points moved and scaled so that each image's pattern fits in the unit square."""
    low, high = np.percentile(points, [1, 99], axis=1)
    centre, size = (low + high) / 2, (high - low).max(axis=1)
    framed: NDArray[np.float64] = (points - centre[:, None]) / size[:, None, None] * 0.9 + 0.5
    return framed


def _images(
    settings: Settings,
    maps: NDArray[np.float64],
    count: int,
    resolution: int,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """``count`` images of one class, ``uint8 [count, resolution, resolution, 3]``."""
    jittered = maps * (1 + settings.jitter * generator.uniform(-1, 1, (count, *maps.shape)))
    turn = generator.uniform(-settings.turn, settings.turn, (count, 1))
    zoom = generator.uniform(settings.zoom, 1, (count, 1, 1))
    move = generator.uniform(-settings.move, settings.move, (count, 1, 2))
    painting = np.random.default_rng(generator.integers(2**31))
    steps = max(8, 20 * resolution**2 // 64**2)
    points, last = _walk(jittered, steps, generator)
    points = (_framed(points) - 0.5) * zoom
    x, y = points[..., 0], points[..., 1]
    turned = np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], axis=2)
    pixels = np.floor((turned + move + 0.5) * resolution).astype(np.int64)
    return _paint(settings, pixels, last, len(maps), resolution, painting)


def _paint(
    settings: Settings,
    pixels: NDArray[np.int64],
    last: NDArray[np.int64],
    maps: int,
    resolution: int,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Patterns in one colour per map on a sloping background, with noise."""
    count = len(pixels)
    inside = ((pixels >= 0) & (pixels < resolution)).all(axis=2)
    image = np.broadcast_to(np.arange(count)[:, None], inside.shape)[inside]
    codes = np.zeros((count, resolution, resolution), dtype=np.int64)
    codes[image, pixels[..., 1][inside], pixels[..., 0][inside]] = last[inside] + 1
    slope = np.linspace(-0.5, 0.5, resolution)
    tilt = generator.uniform(-0.4, 0.4, (2, count, 1, 1, 3))
    ground = generator.uniform(0.1, 0.9, (count, 1, 1, 3))
    ground = ground + tilt[0] * slope[:, None, None] + tilt[1] * slope[None, :, None]
    colours = generator.uniform(0, 1, (count, maps + 1, 3))
    painted = colours[np.arange(count)[:, None, None], codes]
    painted = np.where((codes > 0)[..., None], painted, ground)
    noise = generator.normal(0, settings.noise, (count, resolution, resolution, 1))
    return np.round((painted + noise).clip(0, 1) * 255).astype(np.uint8)
