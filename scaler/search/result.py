"""The answer of a search, ``coefficients.json``: written and read here, and by name everywhere else."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from scaler.checked import Positive
from scaler.errors import UserError
from scaler.files import read_text
from scaler.runs import Run
from scaler.scaling.multipliers import Coefficients, Multipliers
from scaler.scaling.shares import Exponents, Shares
from scaler.search.candidates.candidate import Candidate
from scaler.search.inference.law_summary import LawSummary
from scaler.search.inference.selection import CandidateScore, Metric, Selection
from scaler.search.session import Session
from scaler.search.space import Space
from scaler.search.workload import training_images

COEFFICIENTS_FILE = "coefficients.json"

#: Version of the file. 1 had no version, and named the chosen candidate by its place in the grid.
SCHEMA: Literal[2] = 2

#: Bytes of the largest answer that is read.
LARGEST_ANSWER = 16 << 20

Interval = tuple[float, float]


@dataclass(frozen=True)
class Policy:
    """A way to grow: what is raised to the power of phi.

    Attributes:
        shares: of log(budget).
        native: coefficients of the network at its own size.
        proxy: coefficients, nearly the same, of the network that is trained in its place.
        flops_ratio: measured FLOPs at phi = 1 against the base's.
    """

    shares: Shares
    native: Coefficients
    proxy: Coefficients
    flops_ratio: Positive

    def multipliers(self, phi: float) -> Multipliers:
        """Of the network at its own size."""
        return self.native.at(phi)


@dataclass(frozen=True)
class Score:
    """What was seen of a candidate, as :class:`~scaler.search.inference.selection.CandidateScore` has it."""

    network: str
    rung: int
    epochs: int
    seeds: int
    accuracy: float
    accuracy_stderr: float | None
    adjusted_accuracy: float
    loss: float
    loss_stderr: float | None


@dataclass(frozen=True)
class SearchResult:
    """What a search found; candidates are known by their names.

    Attributes:
        schema: version of this layout.
        network: the chosen candidate.
        alpha, beta, gamma: its native coefficients, as ``policies[network]`` has them.
        base: name of the base network; ``space.base`` says where it comes from.
        budget: as asked for; ``budget_ratio``: as a factor on the base's FLOPs.
        exponents: how FLOPs grow with each multiplier.
        policies: every candidate as a way to grow, the single dimensions and the published one among them.
        intervals: of ``alpha, beta, gamma, share_depth, share_width, share_resolution``: from the smallest
            to the largest in ``best_set``, so that they hold the best candidate's at ``confidence``.
        confidence: of the intervals and of ``best_set``.
        best_set: candidates that cannot be told from the best, the chosen one first.
        seeds_needed, more_flops: to show the lead, as in ``Selection``.
        metric: what was compared.
        scores: every candidate that was trained, best first.
        diverged: networks that diverged, or were too large for the memory, with any seed.
        law: what it says beyond the choice.
        proxy: what stood in for the base.
        space: what was searched.
        seed: of the run.
        data_fingerprint: of the images.
    """

    schema: Literal[2]
    network: str
    alpha: Positive
    beta: Positive
    gamma: Positive
    base: str
    budget: str
    budget_ratio: Positive
    exponents: Exponents
    policies: dict[str, Policy]
    intervals: dict[str, Interval]
    confidence: float
    best_set: tuple[str, ...]
    seeds_needed: int | None
    more_flops: float | None
    metric: Metric
    scores: tuple[Score, ...]
    diverged: tuple[str, ...]
    law: LawSummary
    proxy: dict[str, Any]
    space: Space
    seed: int
    data_fingerprint: str

    @property
    def chosen(self) -> Policy:
        """The chosen way to grow."""
        return self.policies[self.network]

    @property
    def decided(self) -> bool:
        """Whether the best set is the chosen candidate alone."""
        return len(self.best_set) == 1


def result_of(session: Session, selection: Selection) -> SearchResult:
    """The answer of a search, from the decision among its candidates."""
    problem, kept = session.problem, session.problem.candidates.kept
    names = [candidate.point.name for candidate in kept] + [network.name for network in session.off_budget]
    policies = {
        candidate.point.name: Policy(
            shares, candidate.coefficients, candidate.proxy_coefficients, candidate.native.ratio
        )
        for candidate, shares in zip(kept, session.work.experiment.shares, strict=True)
    }
    best_set = tuple(names[c] for c in selection.best_set)
    found = policies[best_set[0]].native
    return SearchResult(
        schema=SCHEMA,
        network=best_set[0],
        alpha=found.alpha,
        beta=found.beta,
        gamma=found.gamma,
        base=problem.native.base.name,
        budget=session.space.budget,
        budget_ratio=problem.target.ratio,
        exponents=problem.exponents,
        policies=policies,
        intervals=_intervals([policies[name] for name in best_set]),
        confidence=selection.confidence,
        best_set=best_set,
        seeds_needed=selection.seeds_needed,
        more_flops=selection.more_flops,
        metric=selection.metric,
        scores=tuple(_score(names[score.candidate], score) for score in selection.scores),
        diverged=tuple(names[c] for c in selection.diverged),
        law=selection.law,
        proxy=_proxy(session, kept[selection.candidate]),
        space=session.space,
        seed=session.work.settings.seed,
        data_fingerprint=session.work.data.fingerprint,
    )


def _intervals(best_set: list[Policy]) -> dict[str, Interval]:
    values = np.array([(*astuple(policy.native), *astuple(policy.shares)) for policy in best_set])
    names = ("alpha", "beta", "gamma", "share_depth", "share_width", "share_resolution")
    return {
        name: (float(low), float(high))
        for name, low, high in zip(names, values.min(axis=0), values.max(axis=0), strict=True)
    }


def _score(network: str, score: CandidateScore) -> Score:
    def known(value: float) -> float | None:
        return None if np.isnan(value) else value

    return Score(
        network=network,
        rung=score.rung,
        epochs=score.epochs,
        seeds=score.seeds,
        accuracy=score.accuracy,
        accuracy_stderr=known(score.accuracy_stderr),
        adjusted_accuracy=score.adjusted_accuracy,
        loss=score.loss,
        loss_stderr=known(score.loss_stderr),
    )


def _proxy(session: Session, chosen: Candidate) -> dict[str, Any]:
    """What stood in for the base, in the words of the search space."""
    space, data, reduced = session.space, session.work.data, session.problem.proxy.reduced
    return {
        "data": data.name,
        "resolution": space.proxy.resolution,
        "depth": reduced.depth,
        "width": reduced.width,
        "images": training_images(space, data),
        "epochs": space.recipe.epochs,
        "flops_ratio": chosen.proxy.ratio,
    }


# --- the file --------------------------------------------------------------------------------------------

_FILE = TypeAdapter(SearchResult)


def as_json(result: SearchResult) -> dict[str, Any]:
    """The answer as plain data, in the layout of the file."""
    content: dict[str, Any] = _FILE.dump_python(result, mode="json")
    return content


def write_result(run: Run, result: SearchResult) -> dict[str, Any]:
    """Write ``coefficients.json``; gives its content as plain data."""
    content = as_json(result)
    run.write_json(COEFFICIENTS_FILE, content)
    return content


def read_result(run: Run | Path) -> SearchResult:
    """The answer of a finished search, from its run or the run's directory.

    Raises:
        UserError: there is none, it was written by another version, or it is damaged.
    """
    path = (run if isinstance(run, Path) else run.path) / COEFFICIENTS_FILE
    text = read_text(path, LARGEST_ANSWER)
    try:
        content = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({_first_line(error)}); run `scaler search` again") from None
    if not isinstance(content, dict) or "alpha" not in content:
        raise UserError(f"{path} holds no coefficients; run `scaler search` again")
    if content.get("schema") != SCHEMA:
        raise UserError(
            f"{path} was written by another version of Scaler, which knew candidates by their place in a "
            "grid: run `scaler search` again, or `scaler scale` of that version"
        )
    try:
        result = _FILE.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is damaged at {key}: {first['msg']}; run `scaler search` again") from None
    if missing := {result.network, *result.best_set} - result.policies.keys():
        raise UserError(f"{path} is damaged: it lacks the policy {min(missing)}; run `scaler search` again")
    return result


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _first_line(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
