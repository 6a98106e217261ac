"""What was seen: values of trainings, and the sums of repeated ones that tell as much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaler.search.inference.questions import Array, Indices

#: Directions of trainings that carry less than this part of the largest carry nothing but rounding.
RANK = 1e-9


@dataclass(frozen=True)
class Values:
    """Observed values by network, seed index and rung, four arrays ``[N]``; larger is better."""

    network: Indices
    seed_index: Indices
    rung: Indices
    value: Array


@dataclass(frozen=True)
class Repeats:
    """Repeated trainings as ``D`` orthonormal sums of them, which are sufficient for all but the noise.

    Of ``T`` trainings, what networks and what seed indices have in common spans ``D`` directions. Along the
    others there is noise alone, independent of all else, so that they tell nothing of any network: with every
    training at the same ``K`` rungs this is exact, whatever the sizes of effects are.

    Attributes:
        basis: ``[N, D K]``, the sums of values, by sum and then rung.
        networks: ``[U]``, those that were trained; ``network``: ``[D, U]``, each one's part in a sum.
        seed: ``[D, S]``, each seed index's part in it.
        rungs: ``[K]``.
        noise: ``[K, K]``, squares and products of what is noise alone, summed over ``count`` directions.
    """

    basis: Array
    networks: Indices
    network: Array
    seed: Array
    rungs: Indices
    noise: Array
    count: int


@dataclass(frozen=True)
class Seen:
    """Values as the law takes them.

    Attributes:
        values: as they were seen.
        y: ``[P]``, less the mean of their rung; sums of them, where there are ``repeats``.
        freedom: degrees of freedom that are left, of values, not of sums.
        repeats: None where sums would tell less, or no fewer would do.
    """

    values: Values
    y: Array
    freedom: int
    repeats: Repeats | None


def as_seen(values: Values) -> Seen:
    """Values less the means of their rungs, summed where that tells as much."""
    y = values.value.copy()
    rungs = np.unique(values.rung)
    for rung in rungs:
        at = values.rung == rung
        y[at] -= y[at].mean()
    found = repeats(values, y)
    return Seen(values, found.basis.T @ y if found else y, len(y) - len(rungs), found)


def repeats(values: Values, y: Array) -> Repeats | None:
    """The sums of ``y`` that tell as much; None if no fewer do, or trainings differ in their rungs."""
    rungs, rung = np.unique(values.rung, return_inverse=True)
    pairs = np.stack([values.network, values.seed_index])
    trainings, training = np.unique(pairs, axis=1, return_inverse=True)
    places = training.reshape(-1) * len(rungs) + rung
    count = trainings.shape[1]
    if len(places) != count * len(rungs) or len(np.unique(places)) < len(places):
        return None
    networks, seeds = np.unique(trainings[0]), np.unique(trainings[1])
    of_network, of_seed = trainings[0][:, None] == networks, trainings[1][:, None] == seeds
    directions, sizes, _ = np.linalg.svd(np.hstack([of_network, of_seed]).astype(float), full_matrices=False)
    sums = directions[:, sizes > RANK * sizes[0]]
    if sums.shape[1] == count:
        return None
    table = y[np.argsort(places)].reshape(count, len(rungs))
    alone = table - sums @ (sums.T @ table)
    return Repeats(
        basis=np.kron(sums, np.eye(len(rungs)))[places],
        networks=networks,
        network=sums.T @ of_network,
        seed=sums.T @ of_seed,
        rungs=rungs,
        noise=alone.T @ alone,
        count=count - sums.shape[1],
    )
