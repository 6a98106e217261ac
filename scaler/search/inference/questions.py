"""What is asked of the law: weighted sums of latent values of networks and points, in octaves.

A network lies at ``x_k = e_k log2(m_k)`` for an effective multiplier ``m_k`` along an axis that costs FLOPs
as its power ``e_k``: one octave is one doubling of FLOPs, and the base lies at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def returns(x: Array, exponent: Array) -> Array:
    """``h(x; a)``: what ``x`` octaves along an axis buy, in units of the first's slope at the base."""
    rate = exponent * np.log(2)
    return np.asarray(-np.expm1(-rate * x) / rate)


@dataclass(frozen=True)
class Questions:
    """Weighted sums of latent values: worths, gains, contrasts.

    Attributes:
        octaves: ``[P, 3]``, the points that they are about.
        network: ``[P]``, the network there, which has a part of its own; -1 for law and discrepancy alone.
        weights: ``[T, P]``, one row per question.
    """

    octaves: Array
    network: Indices
    weights: Array

    def weighted(self, weights: Array) -> Questions:
        """Weighted sums ``[., T]`` of these questions."""
        return Questions(self.octaves, self.network, weights @ self.weights)


def latent_values(octaves: Array, network: Indices | None = None) -> Questions:
    """The latent value at each point ``[T, 3]``; without networks, of law and discrepancy alone."""
    octaves = np.atleast_2d(np.asarray(octaves, dtype=float))
    nobody = np.full(len(octaves), -1, dtype=np.int64)
    return Questions(octaves, nobody if network is None else network, np.eye(len(octaves)))


def raised(candidates: Array, sizes: Sequence[float], budget: float, network: Indices) -> Questions:
    """Worth of each candidate ``[C, 3]``: the mean latent value over ``sizes`` (times the base's FLOPs).

    At the budget it is that of the candidate's own network, with its own part; at larger sizes that of a
    network yet to be realised, along the same direction, at exactly that size by the law of octaves.
    """
    direction = candidates / candidates.sum(axis=1, keepdims=True)
    at_budget = [size == budget for size in sizes]
    octaves = np.concatenate([candidates if size == budget else direction * np.log2(size) for size in sizes])
    owners = np.concatenate([network if own else np.full_like(network, -1) for own in at_budget])
    return Questions(octaves, owners, np.tile(np.eye(len(candidates)), len(sizes)) / len(sizes))


def gains(at: Array, step: float = 1.0) -> Questions:
    """What ``step`` further octaves on each axis buy at points ``[P, 3]``: questions ``[3 P]``, by point."""
    at = np.atleast_2d(np.asarray(at, dtype=float))
    further = (at[:, None] + step * np.eye(3)).reshape(-1, 3)
    octaves = np.concatenate([at, further])
    weights = np.hstack([-np.repeat(np.eye(len(at)), 3, axis=0), np.eye(len(further))])
    return Questions(octaves, np.full(len(octaves), -1, dtype=np.int64), weights)


def directions(divisions: int = 10) -> Array:
    """``[D, 3]``: ways to spend one octave on three axes, evenly over the triangle of shares."""
    steps = range(divisions + 1)
    points = [(i, j, divisions - i - j) for i in steps for j in steps if i + j <= divisions]
    return np.array(points) / divisions
