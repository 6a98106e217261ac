"""Splitting a part off the training images, evenly over the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scaler.errors import UserError
from scaler.seeds import derive

#: Part of the training images that is split off, and the most images that it takes.
FRACTION = 0.2
AT_MOST = 10_000


def hold_out(
    labels: NDArray[np.int64], classes: Sequence[str], seed: int, purpose: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split a fifth of every class off, at most 10,000 images in all.

    Args:
        labels: class of every image.
        classes: their names, for the error.
        seed: of the data, not of a run: the split is part of the data set.
        purpose: names the split, so that two splits of one set are independent.

    Returns:
        Rows that stay and rows that are held out, both ascending; every class is in both.

    Raises:
        UserError: a class has fewer than two images.
    """
    fraction = min(FRACTION, AT_MOST / max(1, len(labels)))
    held = []
    for label, name in enumerate(classes):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise UserError(
                f"class {name!r} has {len(rows)} training image(s), too few to split a {purpose} part off; "
                "give every class at least 3"
            )
        count = min(len(rows) - 1, max(1, round(fraction * len(rows))))
        generator = np.random.default_rng(derive(seed, "split", purpose, name))
        held.append(generator.permutation(rows)[:count])
    taken = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), taken, assume_unique=True), taken
