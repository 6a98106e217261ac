"""How much of a class activation map lies on the object, and whether compound scaling has more there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import bootstrap
from torch import Tensor
from torch.nn import functional

CONFIDENCE = 0.95
_RESAMPLES = 2000

Verdict = Literal["holds", "contradicted", "open"]


@dataclass(frozen=True)
class Share:
    """A mean over images with its bootstrap interval.

    Attributes:
        mean: part of the mass in [0, 1], or a difference of two.
        low, high: interval; NaN of one image, which says nothing of others.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Focus:
    """Where the maps of several networks lie, on the same images.

    Attributes:
        images: that were counted: those with an object and with some positive mass in every map.
        left_out: the others.
        area: mean part of an image that is object: what a map that is the same everywhere would have.
        shares: part of the mass on the object, by network; intervals at :data:`CONFIDENCE`.
        lead: how much more ``chosen`` has than each other network, image by image; intervals hold together
            at :data:`CONFIDENCE` (Bonferroni).
        chosen: the network that the claim is about.
    """

    images: int
    left_out: int
    area: float
    shares: Mapping[str, Share]
    lead: Mapping[str, Share]
    chosen: str

    @property
    def verdict(self) -> Verdict:
        """Whether ``chosen`` focuses more on the objects than every other network.

        ``holds`` if all intervals of its lead lie above zero; ``contradicted`` if one lies below. So few
        images that even a sign test of them all could not tell leave it ``open``, for a bootstrap of few is
        too narrow.
        """
        if not self.lead or 2.0 ** (1 - self.images) > (1 - CONFIDENCE) / len(self.lead):
            return "open"
        if any(lead.high < 0 for lead in self.lead.values()):
            return "contradicted"
        return "holds" if all(lead.low > 0 for lead in self.lead.values()) else "open"


def on_object(maps: Tensor, masks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Part of each map's mass that falls on the object.

    The mass is the map's positive part, drawn out to the mask's size (bilinear), as it is shown.

    Args:
        maps: ``[N, h, w]``.
        masks: ``[N, S, S]``, the part of each pixel that is object.

    Returns:
        ``[N]`` in [0, 1]; NaN without an object or without positive mass.
    """
    mass = enlarged(maps, masks.shape[1]).double()
    on = (mass * torch.from_numpy(masks)).sum((1, 2))
    # Without mass 0 / 0 is NaN, which is what it means; an object cut off with the border is none.
    shares: NDArray[np.float64] = (on / mass.sum((1, 2))).numpy()
    return np.where(masks.any(axis=(1, 2)), shares, np.nan)


def enlarged(maps: Tensor, side: int) -> Tensor:
    """The positive part of maps ``[N, h, w]``, drawn out to ``[N, side, side]``."""
    drawn = functional.interpolate(maps.clamp(min=0)[:, None], (side, side), mode="bilinear")
    return drawn[:, 0]


def focus(shares: Mapping[str, NDArray[np.float64]], area: NDArray[np.float64], chosen: str) -> Focus:
    """Compare networks on the same images.

    Args:
        shares: of :func:`on_object`, by network, ``[N]``.
        area: part of each image that is object, ``[N]``.
        chosen: the network that the claim is about.
    """
    there = ~np.isnan(np.stack([*shares.values(), area])).any(axis=0)
    kept = {name: values[there] for name, values in shares.items()}
    others = [name for name in kept if name != chosen] if chosen in kept else []
    together = 1 - (1 - CONFIDENCE) / max(1, len(others))
    return Focus(
        images=int(there.sum()),
        left_out=int((~there).sum()),
        area=float(area[there].mean()) if there.any() else float("nan"),
        shares={name: _mean(values, CONFIDENCE) for name, values in kept.items()},
        lead={name: _mean(kept[chosen] - kept[name], together) for name in others},
        chosen=chosen,
    )


def _mean(values: NDArray[np.float64], confidence: float) -> Share:
    if len(values) < 2:
        mean = float(values.mean()) if len(values) else float("nan")
        return Share(mean, float("nan"), float("nan"))
    if np.ptp(values) == 0:
        mean = float(values.mean())
        return Share(mean, mean, mean)
    found = bootstrap(
        (values,), np.mean, n_resamples=_RESAMPLES, confidence_level=confidence, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Share(float(values.mean()), float(found.low), float(found.high))
