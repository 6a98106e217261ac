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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scaler.data.dataset import PartName
from scaler.data.source import Source, refuse_files
from scaler.seeds import derive

USAGE = "fractals"
ABOUT = "drawn from iterated function systems; nothing to download; 64 classes (the default)"

#: Part of the fingerprint: to be raised when the same settings draw other images.
VERSION = 1
_PARTS: tuple[PartName, ...] = ("train", "validation", "test")
_WALKERS, _BURN_IN = 256, 8
#: Grains of noise along a side, whatever the resolution: it must not fade where more pixels are drawn.
_GRAIN = 64


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
        zoom: smallest and largest scale of an image; at 1 a pattern fills 0.9 of its side.
        move: largest shift of an image as a part of its side.
        tint: range of every colour channel around a dark ground and a light pattern, in parts of the full.
        noise: deviation of the pixel noise, in parts of the full range.
        images: images per class in every part.
        seed: of everything drawn.
    """

    parents: int = 16
    children: int = 4
    maps: tuple[int, int] = (3, 6)
    spread: float = 0.07
    jitter: float = 0.02
    turn: float = 0.08
    zoom: tuple[float, float] = (0.7, 0.85)
    move: float = 0.03
    tint: float = 0.2
    noise: float = 0.04
    images: dict[PartName, int] = field(
        default_factory=lambda: {"train": 96, "validation": 128, "test": 128}, hash=False
    )
    seed: int = 0

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.parents * self.children


#: Largest images drawn.
NATIVE_RESOLUTION = 512


def open_source(path: str, root: Path | None, seed: int, skip_unreadable: bool) -> Source:
    """As :class:`scaler.data.registry.DataModule` has it."""
    refuse_files(USAGE, root, skip_unreadable)
    return source(seed=seed)


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


def masks(part: PartName, resolution: int, settings: Settings | None = None) -> Iterator[NDArray[np.bool_]]:
    """Where the pattern is in the images of a part, known because it was drawn there.

    Args:
        part: of the data set.
        resolution: of the masks, in pixels; that of the images drawn, for the very same points.
        settings: what was drawn; None is the default.

    Yields:
        All masks of one class at a time, ``bool [images, resolution, resolution]``, in the order of the part.
    """
    for _, codes in _scenes(settings or Settings(), part, resolution):
        yield codes > 0


def _draw(settings: Settings, part: PartName, resolution: int) -> Iterator[NDArray[np.uint8]]:
    """All images of one class at a time."""
    for paint, codes in _scenes(settings, part, resolution):
        yield paint.on(codes)


def _scenes(
    settings: Settings, part: PartName, resolution: int
) -> Iterator[tuple[_Paint, NDArray[np.int64]]]:
    """Paint and map numbers of the images of one class at a time."""
    for parent in range(settings.parents):
        for child, maps in enumerate(_family(settings, parent)):
            generator = np.random.default_rng(derive(settings.seed, "images", part, parent, child))
            yield _scene(settings, maps, settings.images[part], resolution, generator)


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
        x, y, _ = _walk(maps[None], 8, np.random.default_rng(0))
        cells = np.floor((np.stack(_framed(x, y)) + 0.5) * 32)
        filled = len(np.unique(cells[0] + 32 * cells[1]))
        if 0.15 < filled / 32**2 < 0.6:
            return maps


def _walk(
    maps: NDArray[np.float64], steps: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """The chaos game, many walkers at once.

    Args:
        maps: ``[images, maps, 6]``.
        steps: points recorded per walker.
        generator: of the maps' order.

    Returns:
        Coordinates x and y of the points, and the last map of each; all ``[images, points]``.
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
            points.append((x, y))
            last.append(chosen)
    across, down = (np.concatenate(part, axis=1) for part in zip(*points, strict=True))
    return across, down, np.concatenate(last, axis=1)


def _framed(
    x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points moved and scaled so that each image's pattern fits around 0 in a square of side 0.9."""
    bounds = [(axis.min(axis=1, keepdims=True), axis.max(axis=1, keepdims=True)) for axis in (x, y)]
    (left, right), (top, bottom) = bounds
    scale = np.float32(0.9) / np.maximum(right - left, bottom - top)
    return (x - (left + right) / 2) * scale, (y - (top + bottom) / 2) * scale


def _scene(
    settings: Settings,
    maps: NDArray[np.float64],
    count: int,
    resolution: int,
    generator: np.random.Generator,
) -> tuple[_Paint, NDArray[np.int64]]:
    """Paint of ``count`` images of one class, and codes as :meth:`_Paint.on` takes them."""
    jittered = maps * (1 + settings.jitter * generator.uniform(-1, 1, (count, *maps.shape)))
    turn = generator.uniform(-settings.turn, settings.turn, (count, 1)).astype(np.float32)
    zoom = generator.uniform(*settings.zoom, (count, 1)).astype(np.float32)
    move = generator.uniform(-settings.move, settings.move, (2, count, 1)).astype(np.float32)
    # Colours before points: a larger drawing of the same image takes more points, not other colours.
    paint = _Paint.mixed(settings, count, len(maps), generator)
    x, y, last = _walk(jittered, max(8, 20 * resolution**2 // 64**2), generator)
    x, y = (axis * zoom for axis in _framed(x, y))
    column = np.cos(turn) * x - np.sin(turn) * y + move[0] + np.float32(0.5)
    row = np.sin(turn) * x + np.cos(turn) * y + move[1] + np.float32(0.5)
    inside = (column >= 0) & (column < 1) & (row >= 0) & (row < 1)
    image = np.broadcast_to(np.arange(count)[:, None], inside.shape)[inside]
    codes = np.zeros((count, resolution, resolution), dtype=np.int64)
    place = (image, (row[inside] * resolution).astype(int), (column[inside] * resolution).astype(int))
    codes[place] = last[inside] + 1
    return paint, codes


@dataclass(frozen=True)
class _Paint:
    """Colours of some images: one per map, a sloping ground, and noise; in parts of the full range."""

    colours: NDArray[np.float32]
    ground: NDArray[np.float32]
    slopes: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def mixed(cls, settings: Settings, count: int, maps: int, generator: np.random.Generator) -> _Paint:
        """Colours of ``count`` images whose systems have ``maps`` maps."""
        tint = np.float32(settings.tint)
        return cls(
            colours=0.7 + tint * _spread(generator, (count, maps + 1, 3)),
            ground=0.3 + tint * _spread(generator, (count, 1, 1, 3)),
            slopes=tint * _spread(generator, (2, count, 1, 1, 3)),
            noise=settings.noise * generator.standard_normal((count, _GRAIN, _GRAIN, 1), dtype=np.float32),
        )

    def on(self, codes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Paint ``codes`` ``[N, R, R]``: 0 is ground, ``n`` the n-th map."""
        resolution = codes.shape[1]
        slope = np.linspace(-0.5, 0.5, resolution, dtype=np.float32)
        ground = self.ground + self.slopes[0] * slope[:, None, None] + self.slopes[1] * slope[:, None]
        painted = self.colours[np.arange(len(codes))[:, None, None], codes]
        np.copyto(painted, ground, where=(codes == 0)[..., None])
        grain = np.arange(resolution) * _GRAIN // resolution
        painted += self.noise[:, grain][:, :, grain]
        return (painted.clip(0, 1) * 255 + np.float32(0.5)).astype(np.uint8)


def _spread(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return generator.random(shape, dtype=np.float32) - np.float32(0.5)
