"""Networks side by side on the same images: what each says, and where it looks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaler.data.dataset import DataSet
from scaler.growth.policies import COMPOUND, OWN, PUBLISHED_NAME
from scaler.inspect.cam import Method, class_maps, method_for
from scaler.inspect.focus import Focus, focus, on_object
from scaler.inspect.images import UNKNOWN, Images, probabilities
from scaler.inspect.subjects import Subject, prepared
from scaler.networks.scale import effective
from scaler.networks.spec import NetworkSpec

#: Policies that the article's claim is about; the first that a run has.
CHOSEN = (COMPOUND, OWN, PUBLISHED_NAME)

#: A multiplier that differs from 1 by less is rounding.
_GROWN = 0.01


@dataclass(frozen=True)
class Look:
    """What one network makes of some images.

    Attributes:
        subject: the network.
        method: how the maps were made.
        probabilities: ``[N, classes]``.
        asked: class that each map is about: the true one, or the predicted one where nobody knows it.
        maps: ``[N, h, w]``.
    """

    subject: Subject
    method: Method
    probabilities: NDArray[np.float32]
    asked: NDArray[np.int64]
    maps: Tensor

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class of the highest probability, ``[N]``."""
        found: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return found


def look(
    subjects: Sequence[Subject], images: Images, data: DataSet | None, method: Method | None = None
) -> list[Look]:
    """Show every network the same images, each at its own resolution.

    Args:
        subjects: the networks.
        images: what they are shown.
        data: that they were trained on.
        method: None is CAM where a network has it, else Grad-CAM.

    Raises:
        UserError: as :func:`scaler.inspect.cam.class_maps`.
    """
    return [_look(subject, images, data, method) for subject in subjects]


def _look(subject: Subject, images: Images, data: DataSet | None, method: Method | None) -> Look:
    said = probabilities(subject, images, data)
    asked = np.where(images.labels == UNKNOWN, said.argmax(axis=1), images.labels)
    pixels = prepared(images.at(subject.resolution), subject.statistics(data))
    how = method or method_for(subject.network)
    maps = class_maps(subject.network, pixels, torch.from_numpy(asked), how)
    return Look(subject, how, said, asked, maps)


def compare_focus(looks: Sequence[Look], masks: NDArray[np.float32]) -> Focus:
    """How much of each network's maps lies on the objects.

    Args:
        looks: at the same images.
        masks: ``[N, S, S]``, NaN where no object is known.
    """
    shares = {one.subject.name: on_object(one.maps, masks) for one in looks}
    chosen = next((name for name in CHOSEN if name in shares), "")
    return focus(shares, masks.mean(axis=(1, 2)).astype(np.float64), chosen)


def single_dimension(subjects: Sequence[Subject], chosen: str, base: NetworkSpec | None = None) -> str:
    """The only dimension in which ``chosen`` is larger than the base, if it is one; else nothing.

    Args:
        subjects: the networks.
        chosen: name of one.
        base: at its own size, where it may not be among the subjects.
    """
    specs = {subject.name: subject.native for subject in subjects}
    start = base or specs.get("base")
    if chosen not in specs or start is None:
        return ""
    multipliers = asdict(effective(specs[chosen], start))
    grown = [dimension for dimension, value in multipliers.items() if value - 1 > _GROWN]
    return grown[0] if len(grown) == 1 else ""
