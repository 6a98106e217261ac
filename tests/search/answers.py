"""Answers of searches that were never run, for tests of what reads them."""

from dataclasses import astuple
from typing import Any

from pydantic import TypeAdapter

from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import Exponents, Shares, lattice
from scaler.search.inference.law_summary import Gain, LawSummary, Waypoint, Worth
from scaler.search.result import SCHEMA, Policy, SearchResult
from scaler.search.space import read_space


def a_law() -> LawSummary:
    """A law by which resolution helps most and depth least, best at shares (0.1, 0.3, 0.6)."""
    best = Shares(0.1, 0.3, 0.6)

    def worth(shares: Shares) -> float:
        return -0.02 * sum((a - b) ** 2 for a, b in zip(astuple(shares), astuple(best), strict=True))

    gains = [
        Gain(axis, size, mean / size, mean / size - 0.004, mean / size + 0.006)
        for size in (1.0, 4.0, 16.0)
        for axis, mean in (("depth", 0.008), ("width", 0.021), ("resolution", 0.03))
    ]
    return LawSummary(
        gains=tuple(gains),
        early=(),
        early_epochs=0,
        path=(Waypoint(4.0, best, (0.0, 0.1, 0.4), (0.3, 0.5, 0.8), 0.0),),
        surface=tuple(Worth(shares, worth(shares)) for shares in lattice(20)),
        beats={},
        additive=0.7,
        lack_of_fit=None,
        own=0.1,
        deviation=0.01,
        sampling=None,
        networks=6,
    )


def an_answer(best_set: tuple[str, ...], others: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of a ``coefficients.json`` that chose the first of these candidates."""
    policy = Policy(Shares(1.0, 0.0, 0.0), Coefficients(2.0, 1.0, 1.0), Coefficients(2.0, 1.0, 1.0), 2.0)
    intervals = dict.fromkeys(
        ("alpha", "beta", "gamma", "share_depth", "share_width", "share_resolution"), (0.0, 2.0)
    )
    result = SearchResult(
        schema=SCHEMA,
        network=best_set[0],
        alpha=2.0,
        beta=1.0,
        gamma=1.0,
        base="effnet-b0",
        budget="2x",
        budget_ratio=2.0,
        exponents=Exponents(),
        policies=dict.fromkeys((*best_set, *others), policy),
        intervals=intervals,
        confidence=0.95,
        best_set=best_set,
        seeds_needed=None,
        more_flops=None,
        metric="accuracy",
        scores=(),
        diverged=(),
        law=a_law(),
        proxy={},
        space=read_space("smoke"),
        seed=0,
        data_fingerprint="a",
    )
    content: dict[str, Any] = TypeAdapter(SearchResult).dump_python(result, mode="json")
    return content
