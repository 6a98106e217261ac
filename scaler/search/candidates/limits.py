"""Limits beyond FLOPs: candidates that are too large, too hungry or too slow are left out before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from scaler.errors import UserError
from scaler.scaling.budget import format_count
from scaler.search.candidates.candidate import LeftOut, Realised
from scaler.search.candidates.enumeration import Candidates
from scaler.search.space import Limits

#: Images of a training step whose memory is limited.
MEMORY_BATCH = 32

Measure = Callable[[Realised], float]


def beyond_limits(candidates: Candidates, limits: Limits, device: str) -> dict[str, str]:
    """The candidates whose native network does not keep all limits, by name, with the reason.

    Args:
        candidates: what meets the budget.
        limits: on params, activations, memory (bytes of a training step), latency (ms, one image).
        device: where memory and latency are measured.

    Raises:
        UserError: no candidate keeps the limits; the message says by how much the nearest misses.
    """
    rules = list(_rules(limits, device))
    found = {c.point.name: _excess(c.native, rules) for c in candidates.kept}
    beyond = {name: (excess, reason) for name, (excess, reason) in found.items() if reason}
    if len(beyond) == len(candidates.kept):
        nearest = min(beyond, key=lambda name: beyond[name][0])
        excess, reason = beyond[nearest]
        raise UserError(
            f"no candidate keeps the limits: the nearest, {nearest}, has {reason} "
            f"({excess - 1:.0%} too much); raise the limit or lower the budget"
        )
    return {name: reason for name, (_, reason) in beyond.items()}


def within(candidates: Candidates, beyond: Mapping[str, str]) -> Candidates:
    """The candidates without those beyond their limits, which are left out with the reason.

    Raises:
        UserError: none is left, by what an earlier run says.
    """
    kept = [c for c in candidates.kept if c.point.name not in beyond]
    dropped = [
        LeftOut(c.point, beyond[c.point.name], c.native.ratio)
        for c in candidates.kept
        if c.point.name in beyond
    ]
    if not kept:
        raise UserError("no candidate is left: all are said to be beyond the limits")
    numbered = tuple(replace(candidate, id=place) for place, candidate in enumerate(kept))
    return Candidates(numbered, (*candidates.left_out, *dropped))


def _rules(limits: Limits, device: str) -> Iterator[tuple[str, float, Measure, Callable[[float], str]]]:
    """What is limited: its name, the limit, how it is measured, how it is said."""
    if limits.params is not None:
        yield "params", limits.params, lambda network: network.cost.params, format_count
    if limits.activations is not None:
        yield "activations", limits.activations, lambda network: network.cost.activations, format_count
    if limits.memory is not None:
        yield (
            "bytes of training memory",
            limits.memory,
            lambda network: _memory(network, device),
            format_count,
        )
    if limits.latency is not None:
        yield "ms latency", limits.latency, lambda network: _latency(network, device), _milliseconds


def _excess(
    network: Realised, rules: list[tuple[str, float, Measure, Callable[[float], str]]]
) -> tuple[float, str]:
    """By which factor a network misses its first broken limit, and that in words; none broken: empty."""
    for name, limit, measure, said in rules:
        value = measure(network)
        if value > limit:
            return value / limit, f"{said(value)} {name}, above the limit of {said(limit)}"
    return 1.0, ""


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.3g}"


def _memory(network: Realised, device: str) -> float:
    from scaler.cost.memory import memory
    from scaler.training.device import resolve

    return memory(network.spec, MEMORY_BATCH, resolve(device).torch).training


def _latency(network: Realised, device: str) -> float:
    from scaler.cost.latency import latency
    from scaler.training.device import resolve

    return latency(network.spec, 1, str(resolve(device).torch)).median
