"""A search from space to observations: load data, pose the problem, plan, train. Prints nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaler.cost.closed_form import cost
from scaler.data.dataset import DataSet
from scaler.data.request import DataRequest
from scaler.errors import MachineError
from scaler.networks.spec import NetworkSpec
from scaler.runs import all_runs
from scaler.search.limits import within
from scaler.search.plan import Plan, fit_images, rehearse
from scaler.search.problem import Problem, contest, pose
from scaler.search.proxy_training import ProxyTraining
from scaler.search.space import Space
from scaler.search.strategies import parse_strategy
from scaler.search.types import Contest, Strategy
from scaler.training.recipe import Recipe


@dataclass(frozen=True)
class Settings:
    """What a user sets beside the search space.

    Attributes:
        data_root: where downloaded data lie; None is the cache.
        skip_unreadable: leave out images that cannot be read.
        seed: of the run.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        workers: processes; None is one per core, or one per GPU.
        time_budget: seconds to fit the work into; None takes the space as it is.
    """

    data_root: Path | None = None
    skip_unreadable: bool = False
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    time_budget: float | None = None


@dataclass(frozen=True)
class Session:
    """A search ready to train.

    Attributes:
        asked: the space as the user gave it.
        space: what is searched: ``asked``, fitted to the time budget if there is one.
        settings: the user's.
        problem: base, proxy and candidates.
        data: the images.
        request: how any process loads them.
        contest: what the strategy knows.
        strategy: decides what is trained.
        plan: the work ahead.
        seconds: its estimated wall time.
        workers: processes.
    """

    asked: Space
    space: Space
    settings: Settings
    problem: Problem
    data: DataSet
    request: DataRequest
    contest: Contest
    strategy: Strategy
    plan: Plan
    seconds: float
    workers: int

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result: a run of the same configuration is the same run."""
        return {
            **question(self.asked, self.settings),
            "space": self.space.model_dump(mode="json"),
            "data_fingerprint": self.data.fingerprint,
        }

    def training(self, checkpoints: Path) -> ProxyTraining:
        """The unit of work, for any process."""
        return ProxyTraining(
            specs=tuple(candidate.proxy.spec for candidate in self.problem.candidates.kept),
            recipe=self.space.recipe,
            rungs=self.space.rungs,
            request=self.request,
            seed=self.settings.seed,
            device=self.settings.device,
            checkpoints=checkpoints,
        )

    def attributes(self) -> list[Mapping[str, Any]]:
        """What the study's dashboard shows of each candidate."""
        return [
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


def question(asked: Space, settings: Settings) -> dict[str, Any]:
    """What the user asked, as it stands in a run's configuration."""
    return {
        "asked": asked.model_dump(mode="json"),
        "time_budget": settings.time_budget,
        "seed": settings.seed,
    }


def fitted_before(results: Path, name: str | None, asked: Space, settings: Settings) -> Space | None:
    """The space that an unfinished run of the same question was fitted to, or the run of this name.

    A time budget is fitted once: a second look at the machine would give another space, and the
    interrupted search could not go on.
    """
    same = json.loads(json.dumps(question(asked, settings)))
    for run in reversed(all_runs(results, "search")):
        named = run.name == name if name else not run.finished
        if named and {key: run.configuration.get(key) for key in same} == same:
            return Space.model_validate(run.configuration["space"])
    return None


def prepare(asked: Space, settings: Settings, fitted: Space | None = None) -> Session:
    """Load the data, realise and count the candidates, and plan the trainings.

    Args:
        asked: what is to be searched.
        settings: the user's.
        fitted: what ``asked`` was fitted to in an earlier session, if it was.

    Raises:
        UserError: base, data, budget or grid are wrong, or images are too small for a candidate.
    """
    space = fitted or asked
    strategy = parse_strategy(space.strategy)
    request = DataRequest(
        space.data,
        settings.data_root,
        space.proxy.resolution,
        space.proxy.upsample,
        settings.skip_unreadable,
    )
    problem = pose(space, len(request.load().classes))
    kept = within(problem.candidates, space.limits, settings.device)
    problem = replace(problem, candidates=kept)
    largest = max(c.proxy.spec.resolution for c in problem.candidates.kept)
    request = replace(request, largest_resolution=largest)
    data = request.load()
    check_counts(problem)
    wanted = None if fitted else settings.time_budget
    space, speed, workers = _fit(space, settings, wanted, problem, data, strategy)
    images = training_images(space, data)
    field = contest(problem, space, images, settings.seed)
    plan = rehearse(strategy, field, images)
    seconds = plan.seconds(speed, workers)
    return Session(asked, space, settings, problem, data, request, field, strategy, plan, seconds, workers)


def training_images(space: Space, data: DataSet) -> int:
    """Images trained on in an epoch: what the recipe asks for or what there is, in whole batches."""
    there = min(space.recipe.images or data.sizes["train"], data.sizes["train"])
    return max(there // space.recipe.batch_size, 1) * min(space.recipe.batch_size, there)


def speed_and_workers(spec: NetworkSpec, recipe: Recipe, settings: Settings) -> tuple[float, int]:
    """Training FLOPs a second of one worker on this network, and how many workers there are."""
    from scaler.search.calibration import calibrate, default_workers
    from scaler.training.device import resolve

    device = resolve(settings.device)
    speed = calibrate(spec, recipe, device)
    return speed.flops_per_second, settings.workers or default_workers(device)


def _fit(
    space: Space,
    settings: Settings,
    wanted: float | None,
    problem: Problem,
    data: DataSet,
    strategy: Strategy,
) -> tuple[Space, float, int]:
    """The space that fits the time budget, with the speed of a worker, and the workers."""
    # A compound candidate, since single dimensions run at unusual speeds.
    middle = problem.candidates.kept[len(problem.candidates.kept) // 2]
    speed, workers = speed_and_workers(middle.proxy.spec, space.recipe, settings)
    if wanted is not None:
        # Images first, then seeds and epochs; a second look because rounding to batches and rungs is coarse.
        for _ in range(2):
            images = training_images(space, data)
            plan = rehearse(strategy, contest(problem, space, images, settings.seed), images)
            seconds = plan.seconds(speed, workers)
            space = fit_images(space, data.sizes["train"], seconds, wanted)
    return space, speed, workers


def check_counts(problem: Problem) -> None:
    """Count the base and every candidate with fvcore, native and as proxy.

    Raises:
        MachineError: fvcore and the closed form disagree; the candidates then meet no measured budget.
    """
    from scaler.cost.counting import flops_by_blocks

    kept = problem.candidates.kept
    specs = [problem.native.base, problem.proxy.base]
    specs += [spec for c in kept for spec in (c.native.spec, c.proxy.spec)]
    for spec in specs:
        closed, found = cost(spec).flops, flops_by_blocks(spec)
        if found != closed:
            raise MachineError(
                f"{spec.name}: fvcore counts {found}, the closed form {closed}; please report it"
            )
