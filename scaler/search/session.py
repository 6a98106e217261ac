"""A search from space to trainings: pose the problem, load data, plan. Prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scaler.cost.network_cost import cost
from scaler.errors import MachineError, UserError
from scaler.execution.plan import SIMULATED_DEVIATION
from scaler.networks.spec import NetworkSpec
from scaler.runs import RUN_FILE
from scaler.search.candidates.candidate import Candidate
from scaler.search.candidates.grid import fixed_points
from scaler.search.candidates.limits import beyond_limits, within
from scaler.search.candidates.off_budget import OffBudget, off_budget
from scaler.search.candidates.problem import Problem, experiment, pose
from scaler.search.inference.decision import fit_experiment
from scaler.search.inference.law_summary import LEVEL
from scaler.search.inference.questions import gains
from scaler.search.space import Space
from scaler.search.strategies.law import LawOfGrowth
from scaler.search.strategies.registry import parse_strategy
from scaler.search.time_budget import fit_time
from scaler.search.workload import Settings, Workload, earlier_run, space_of, workload

#: Trainings of the base that a law may cost, where nobody says which part of exhaustive search's: as much as
#: five networks of twice its FLOPs. Fewer hardly tell one axis from another.
LEAST_TRAININGS = 10.0


@dataclass(frozen=True)
class Session:
    """A search ready to train.

    Attributes:
        asked: the space as the user gave it; ``work.space`` is the one searched, fitted to the time budget.
        problem: base, proxy and candidates.
        beyond: candidates left out for their limits, with the reasons.
        off_budget: networks that are trained only for what they tell.
        work: the trainings; its networks are the candidates' proxies and then those.
        resolution: how well the plan will tell what a doubling of FLOPs buys on an axis at the base: half the
            width of its 90 % interval, in units of a training's deviation from seed to seed.
    """

    asked: Space
    problem: Problem
    beyond: Mapping[str, str]
    off_budget: tuple[OffBudget, ...]
    work: Workload
    resolution: float

    @property
    def space(self) -> Space:
        """What is searched."""
        return self.work.space

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result: a run of the same configuration is the same run."""
        return {
            **question(self.asked, self.work.settings),
            "space": self.space.model_dump(mode="json"),
            "data_fingerprint": self.work.data.fingerprint,
            "networks_fingerprint": self.work.networks_fingerprint,
            "beyond_limits": dict(self.beyond),
        }

    def attributes(self) -> list[Mapping[str, Any]]:
        """What the study's dashboard shows of each candidate."""
        candidates: list[Mapping[str, Any]] = [
            {
                "network": c.point.name,
                "alpha": c.coefficients.alpha,
                "beta": c.coefficients.beta,
                "gamma": c.coefficients.gamma,
                "flops_ratio": c.native.ratio,
                "macs": c.native.cost.macs,
            }
            for c in self.problem.candidates.kept
        ]
        off = ({"network": n.name, "flops_ratio": n.proxy.ratio} for n in self.off_budget)
        return [*candidates, *off]


def question(asked: Space, settings: Settings) -> dict[str, Any]:
    """What the user asked, as it stands in a run's configuration."""
    return {
        "asked": asked.model_dump(mode="json"),
        "time_budget": settings.time_budget,
        "seed": settings.seed,
    }


@dataclass(frozen=True)
class Earlier:
    """What an interrupted search settled by a look at the machine; a second look might settle it otherwise.

    Attributes:
        space: what was asked, fitted to the time budget.
        beyond: candidates that were left out for their limits, with the reasons.
    """

    space: Space
    beyond: Mapping[str, str]


def earlier(results: Path, name: str | None, asked: Space, settings: Settings) -> Earlier | None:
    """Of an unfinished run of the same question, or the run of this name.

    Raises:
        UserError: its file is damaged.
    """
    run = earlier_run(results, "search", name, question(asked, settings))
    if run is None:
        return None
    beyond = run.configuration.get("beyond_limits")
    if not isinstance(beyond, Mapping):
        raise UserError(f"{run.path / RUN_FILE} is damaged: put back a copy, or remove the run")
    return Earlier(space_of(run), beyond)


def prepare(asked: Space, settings: Settings, before: Earlier | None = None) -> Session:
    """Realise and count the candidates, load the data, and plan the trainings.

    Args:
        asked: what is to be searched.
        settings: the user's.
        before: of an earlier session that goes on, if one does.

    Raises:
        UserError: base, data, budget or grid are wrong, or images are too small for a candidate.
    """
    space = before.space if before else asked
    data = settings.request(space).load()
    problem = pose(space, len(data.classes))
    beyond = before.beyond if before else beyond_limits(problem.candidates, space.limits, settings.device)
    problem = replace(problem, candidates=within(problem.candidates, beyond))
    space = _with_part(space, problem)
    largest = max(c.proxy.spec.resolution for c in problem.candidates.kept)
    replace(
        settings.request(space), largest_resolution=largest
    ).load()  # or images too small are told of late
    check_counts(spanning(problem))
    fit = None
    if settings.time_budget is not None and before is None:
        fit = partial(
            fit_time,
            available=data.sizes["train"],
            classes=len(data.classes),
            candidates=len(problem.candidates.kept),
            wanted=settings.time_budget,
        )
    strategy = parse_strategy(space.strategy)
    off: tuple[OffBudget, ...] = ()
    if isinstance(strategy, LawOfGrowth) and strategy.off_budget:
        off = _off_budget(problem, space, data.native_resolution)
    networks = [*(c.proxy.spec for c in problem.candidates.kept), *(n.proxy.spec for n in off)]
    work = workload(
        space,
        settings,
        tuple(networks),
        lambda space: parse_strategy(space.strategy),
        lambda space, images: experiment(problem, off, space, images, settings.seed),
        fit,
    )
    return Session(asked, problem, beyond, off, work, _resolution(work))


def _with_part(space: Space, problem: Problem) -> Space:
    """The space, whose law says which part of exhaustive search's FLOPs it may spend.

    Without one it is the usual part, and more where candidates are few or smaller than the base: networks off
    the budget, from which the law is learnt, cost what they cost.
    """
    if space.strategy.strip() != LawOfGrowth.name:
        return space
    exhaustive = space.seeds * sum(c.proxy.ratio for c in problem.candidates.kept)
    part = min(1.0, max(LawOfGrowth.budget_fraction, LEAST_TRAININGS / exhaustive))
    return space.override(strategy=f"{LawOfGrowth.name}@{part:.3g}")


def _resolution(work: Workload) -> float:
    """Half the width of a gain's interval after a simulated course, against the deviation it was given."""
    fit = fit_experiment(work.experiment, work.course.seen)
    assert fit is not None
    low, high = fit.posterior(gains(np.zeros((1, 3)))).interval(LEVEL).T
    return float((high - low).mean() / 2 / SIMULATED_DEVIATION)


def _off_budget(problem: Problem, space: Space, native_resolution: int) -> tuple[OffBudget, ...]:
    """Networks off the budget, on images that need not be enlarged unless the space says so."""
    largest = max(native_resolution, *(c.proxy.spec.resolution for c in problem.candidates.kept))
    shrink = problem.target.ratio < 1
    pixels = 4 * largest if space.proxy.upsample else largest
    return tuple(off_budget(problem.candidates, problem.proxy, problem.exponents, pixels, shrink=shrink))


def spanning(problem: Problem) -> list[NetworkSpec]:
    """The base and the fixed directions, native and as proxy: every axis alone and all of them together.

    fvcore takes half a second for each network of a usual size: these are counted for a plan, all before they
    are trained.
    """
    fixed = {name for name, _ in fixed_points()}
    return _counted(problem, [c for c in problem.candidates.kept if c.point.name in fixed])


def every(problem: Problem) -> list[NetworkSpec]:
    """The base and all candidates, native and as proxy."""
    return _counted(problem, problem.candidates.kept)


def _counted(problem: Problem, candidates: Iterable[Candidate]) -> list[NetworkSpec]:
    of_both = (spec for c in candidates for spec in (c.native.spec, c.proxy.spec))
    return [problem.native.base, problem.proxy.base, *of_both]


def check_counts(specs: Iterable[NetworkSpec]) -> None:
    """Count networks with fvcore.

    Raises:
        MachineError: fvcore and the closed form disagree; the candidates then meet no measured budget.
    """
    from scaler.cost.counting import count_by_blocks

    for spec in specs:
        closed, found = cost(spec).flops, count_by_blocks(spec).flops
        if found != closed:
            raise MachineError(
                f"{spec.name}: fvcore counts {found}, the closed form {closed}; please report it"
            )
