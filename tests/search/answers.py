"""Answers of searches that were never run, for tests of what reads them."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import Exponents, Shares
from scaler.search.inference.law_summary import AXES, Gain, LawSummary, Waypoint
from scaler.search.result import SCHEMA, Policy, SearchResult
from scaler.search.space import read_space


def a_law(**known: Any) -> LawSummary:
    """What a law said of three alike axes after five trainings, where ``known`` does not say otherwise."""
    law = LawSummary(
        gains=tuple(Gain(axis, size, 0.02, -0.01, 0.05) for size in (1.0, 16.0) for axis in AXES),
        early=(),
        early_epochs=0,
        path=(Waypoint(16.0, Shares(0.3, 0.3, 0.4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0.0),),
        surface=(),
        beats={},
        additive=0.4,
        lack_of_fit=None,
        own=0.0,
        deviation=0.01,
        sampling=None,
        networks=5,
    )
    return replace(law, **known)


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
