"""Where a scaling's coefficients come from: a search, the published ones, or the user's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from scaler.cost.exponents import measure
from scaler.errors import UserError
from scaler.growth.policies import COMPARABLE, COMPOUND, OWN, PUBLISHED_NAME, in_direction, law_path
from scaler.runs import Run, all_runs, load_run
from scaler.scaling.budget import NO_CHANGE
from scaler.scaling.multipliers import PUBLISHED, Coefficients
from scaler.scaling.shares import Exponents, Shares, shares_of
from scaler.search.candidates.proxy_base import bases
from scaler.search.candidates.realise import NATIVE_REACH, Scalable, Target, proxy_of
from scaler.search.result import Policy, SearchResult
from scaler.search.space import Space
from scaler.search.workload import Settings

#: Candidates of a search, by the name that a curve gives them.
_CANDIDATES = {
    "depth": "depth-only",
    "width": "width-only",
    "resolution": "resolution-only",
    PUBLISHED_NAME: "published",
}


@dataclass(frozen=True)
class Origin:
    """What grows, and against which base.

    Attributes:
        name: that a curve gives the chosen policy.
        chosen: the policy.
        ratio: FLOPs at phi = 1 as a factor on the base's; at phi every policy meets this to the power of phi.
        known: further policies that the search has realised, by the name that a curve gives them.
        space: base, data, proxy and recipe that the networks are trained with.
        exponents: how FLOPs grow with each multiplier; None where nobody has measured them yet.
        search: the run's name; empty without one.
    """

    name: str
    chosen: Policy
    ratio: float
    known: Mapping[str, Policy]
    space: Space
    exponents: Exponents | None = None
    search: str = ""

    def on(self, overrides: Mapping[str, Any]) -> Origin:
        """The same coefficients, where keys of the search space are replaced."""
        return replace(self, space=self.space.override(**overrides))

    def policies(self, compare: tuple[str, ...], native: Scalable, proxy: Scalable) -> dict[str, Policy]:
        """The chosen policy, and those it is compared with, by name; all meet ``ratio`` at phi = 1.

        Raises:
            UserError: the FLOPs do not grow along an axis.
        """
        others = [name for name in compare if name != self.name]
        if not others:
            return {self.name: self.chosen}
        exponents = self.exponents or measure(native.base, budget=self.ratio).exponents
        target = Target(self.ratio, self.space.tolerance)
        found = {
            name: self.known.get(name) or in_direction(COMPARABLE[name], exponents, native, proxy, target)
            for name in others
        }
        return {self.name: self.chosen, **found}


def find_search(results: Path, name: str | None, base: str | None) -> Run | None:
    """The search of this name; without one the newest finished search, of ``base`` if that is given.

    Raises:
        UserError: the search named is not there, is not finished, or is of another base.
    """
    if name is None:
        runs = [run for run in all_runs(results, "search") if run.finished]
        fitting = [run for run in runs if base in (None, run.configuration["space"]["base"])]
        return max(fitting, key=lambda run: run.finished, default=None)
    path = next((path for path in (Path(name), results / name) if path.is_dir()), results / name)
    run = load_run(path)
    if run.kind != "search" or not run.finished:
        raise UserError(f"{path} is no finished search: give the name of one, or run `scaler search`")
    own = run.configuration["space"]["base"]
    if base is not None and base != own:
        raise UserError(f"{path} is a search of {own}, not of {base}: give only one of --search and --base")
    return run


def none_found(results: Path, base: str | None) -> str:
    """In words: why :func:`find_search` gave none."""
    others = [run for run in all_runs(results, "search") if run.finished]
    if base is None or not others:
        return f"none finished in {results}" if all_runs(results, "search") else f"none in {results}"
    bases_there = ", ".join(dict.fromkeys(str(run.configuration["space"]["base"]) for run in others))
    return f"none of {base} in {results}, only of {bases_there}"


def origin_of(result: SearchResult, search: str, *, along_law: bool = False) -> Origin:
    """What a finished search found, by the name of its run; ``along_law`` follows the law's own path."""
    return Origin(
        COMPOUND,
        law_path(result) if along_law else result.chosen,
        result.budget_ratio,
        {name: result.policies[c] for name, c in _CANDIDATES.items() if c in result.policies},
        result.space,
        result.exponents,
        search,
    )


def published_origin(space: Space, settings: Settings) -> Origin:
    """The published coefficients, with a proxy that costs as many times its base as the native network."""
    return _given(PUBLISHED_NAME, PUBLISHED, space, settings)


def own_origin(found: Coefficients, space: Space, settings: Settings) -> Origin:
    """Coefficients of the user's own; the budget is what the network measures at phi = 1.

    Raises:
        UserError: they leave the base as it is, or some grow and others shrink it.
    """
    return _given(OWN, found, space, settings)


def _given(name: str, found: Coefficients, space: Space, settings: Settings) -> Origin:
    native, proxy = bases(space, len(settings.request(space).load().classes))
    first = native.realise(found.multipliers)
    if abs(first.ratio - 1) < NO_CHANGE:
        raise UserError(
            f"alpha, beta, gamma = {', '.join(f'{value:g}' for value in astuple(found))} leave "
            f"{native.base.name} nearly as it is ({first.ratio:.2f}x its FLOPs): give larger ones, "
            "such as --alpha 1.2 --beta 1.1 --gamma 1.15"
        )
    second = proxy_of(first, proxy, Target(first.ratio, space.tolerance))
    policy = Policy(_shares(found, first.ratio), found, Coefficients(*astuple(second.asked)), first.ratio)
    return Origin(name, policy, first.ratio, {}, space)


def _shares(found: Coefficients, ratio: float) -> Shares:
    """Of log(ratio); what a search chose may have moved an axis a step the other way, which is no share."""
    bound = max if ratio > 1 else min
    step = math.log(1 + NATIVE_REACH)
    return shares_of(
        Coefficients(*(bound(v, 1.0) if abs(math.log(v)) <= step else v for v in astuple(found)))
    )
