"""Step two: the networks of a ladder, trained on one proxy and tested."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scaler.cost.closed_form import cost
from scaler.curves.ladder import Policy, Rung, ladder, phi_for, policy_of
from scaler.data.dataset import DataSet
from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.networks.spec import NetworkSpec
from scaler.runs import Run, all_runs, load_run
from scaler.scaling.budget import parse_budget
from scaler.scaling.multipliers import PUBLISHED, Coefficients
from scaler.scaling.shares import Shares
from scaler.search.candidate import Candidate
from scaler.search.plan import Plan, rehearse
from scaler.search.problem import Problem, pose
from scaler.search.proxy_training import ProxyTraining
from scaler.search.session import Settings, speed_and_workers, training_images
from scaler.search.space import Space, read_space
from scaler.search.strategies import strategy as named_strategy
from scaler.search.types import Contest, Observation
from scaler.training.recipe import training_flops

#: Policies that a curve may show beside the chosen one, by the candidate that begins each.
SINGLE = {"depth": "depth-only", "width": "width-only", "resolution": "resolution-only"}


@dataclass(frozen=True)
class Origin:
    """Where the coefficients come from.

    Attributes:
        space: what was searched, and what the networks are trained on now.
        seed: of the search.
        candidate: id of the chosen candidate; None takes the published coefficients.
        search: the run's name; empty without one.
    """

    space: Space
    seed: int
    candidate: int | None
    search: str

    def with_space(self, space: Space) -> Origin:
        """The same coefficients, for another space."""
        return replace(self, space=space)


@dataclass(frozen=True)
class ScaleUp:
    """Networks ready to be trained.

    Attributes:
        origin: where the coefficients come from.
        settings: the user's.
        problem: base and proxy.
        policies: how the networks grow; the first is the chosen one.
        rungs: the networks.
        data: the images.
        request: how any process loads them.
        contest: the networks as candidates of an exhaustive comparison.
        plan: the work ahead.
        seconds: its estimated wall time.
        workers: processes.
    """

    origin: Origin
    settings: Settings
    problem: Problem
    policies: tuple[Policy, ...]
    rungs: tuple[Rung, ...]
    data: DataSet
    request: DataRequest
    contest: Contest
    plan: Plan
    seconds: float
    workers: int

    @property
    def base(self) -> NetworkSpec:
        """The network that grows."""
        return self.problem.native.base

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result."""
        return {
            "space": self.origin.space.model_dump(mode="json"),
            "search": self.origin.search,
            "seed": self.settings.seed,
            "networks": [[rung.policy, rung.phi] for rung in self.rungs],
            "data_fingerprint": self.data.fingerprint,
        }

    def training(self, checkpoints: Path) -> ProxyTraining:
        """The unit of work; the held-out test part judges, for nothing is chosen by it any more."""
        return ProxyTraining(
            specs=tuple(rung.proxy.spec for rung in self.rungs),
            recipe=self.origin.space.recipe,
            rungs=self.contest.rungs,
            request=self.request,
            seed=self.settings.seed,
            device=self.settings.device,
            checkpoints=checkpoints,
            on_test=True,
        )

    def attributes(self) -> list[Mapping[str, Any]]:
        """What the study's dashboard shows of each network."""
        return [
            {"network": r.name, "phi": r.phi, "policy": r.policy, "flops": r.native.cost.flops}
            for r in self.rungs
        ]


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


def published_origin(space: str) -> Origin:
    """The published coefficients, on the proxy of a search space."""
    return Origin(read_space(space), 0, None, "")


def origin_of(run: Run) -> Origin:
    """What a finished search found.

    Raises:
        UserError: the run holds no coefficients.
    """
    path = run.path / "coefficients.json"
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run `scaler search` again") from error
    space = Space.model_validate(run.configuration["space"])
    return Origin(space, int(run.configuration["seed"]), int(found["candidate"]), run.name)


def prepare_scale(
    origin: Origin,
    settings: Settings,
    *,
    phis: Sequence[float],
    flops: str | None = None,
    compare: bool = False,
) -> ScaleUp:
    """Realise and count the networks, and plan their trainings.

    Args:
        origin: where the coefficients come from.
        settings: the user's.
        phis: of the networks.
        flops: a budget for the largest network instead, e.g. ``4G``; its phi is found by measured count.
        compare: add the three single dimensions.

    Raises:
        UserError: a network cannot be made, or its images are larger than the data's.
    """
    space = origin.space
    request = DataRequest(
        space.data, settings.data_root, space.proxy.resolution, space.proxy.upsample, settings.skip_unreadable
    )
    problem = pose(space, len(request.load().classes))
    policies = _policies(origin, problem, compare)
    grown = [(policy, phis) for policy in policies]
    if flops is not None:
        asked = parse_budget(flops).flops(cost(problem.native.base).flops)
        # Every policy to the same FLOPs: exponents differ a little, and so do the phis.
        grown = [(policy, (0.0, phi_for(policy, problem.native, asked))) for policy in policies]
    rungs = tuple(ladder(grown, problem.native, problem.proxy))
    largest = max(rung.proxy.spec.resolution for rung in rungs)
    request = replace(request, largest_resolution=largest)
    data = request.load()
    images = training_images(space, data)
    contest = _contest(rungs, space, images, settings.seed)
    plan = rehearse(named_strategy("exhaustive"), contest, images)
    speed, workers = speed_and_workers(rungs[len(rungs) // 2].proxy.spec, space.recipe, settings)
    seconds = plan.seconds(speed, workers)
    return ScaleUp(origin, settings, problem, policies, rungs, data, request, contest, plan, seconds, workers)


def _policies(origin: Origin, problem: Problem, compare: bool) -> tuple[Policy, ...]:
    by_name = {c.point.name: c for c in problem.candidates.kept}
    if origin.candidate is None:
        chosen = Policy("published", PUBLISHED, _proxy_of(by_name.get("published")))
    else:
        chosen = policy_of("compound", problem.candidates.kept[origin.candidate])
    if not compare:
        return (chosen,)
    singles = [policy_of(name, by_name[point]) for name, point in SINGLE.items() if point in by_name]
    return (chosen, *singles)


def _proxy_of(published: Candidate | None) -> Coefficients:
    """The proxy coefficients of the published direction; its own where the budget left it out."""
    return policy_of("published", published).proxy if published else PUBLISHED


def _contest(rungs: Sequence[Rung], space: Space, images: int, seed: int) -> Contest:
    middle = Shares(1 / 3, 1 / 3, 1 / 3)  # an exhaustive comparison has no use for shares
    return Contest(
        shares=tuple(middle for _ in rungs),
        epoch_flops=tuple(float(training_flops(rung.proxy.cost.flops, images)) for rung in rungs),
        rungs=(space.recipe.epochs,),
        repetitions=space.seeds,
        seed=seed,
    )


def curve_rows(scale_up: ScaleUp, seen: Sequence[Observation]) -> list[dict[str, object]]:
    """The rows of ``curve.csv``: a row per network; accuracies are those of the proxies on the test part.

    ``alpha, beta, gamma`` are the policy's coefficients. The standard error is over seeds; it is missing
    for one seed, and a training that diverged counts as the chance that it had: nothing.
    """
    policies = {policy.name: policy for policy in scale_up.policies}
    rows = []
    for index, rung in enumerate(scale_up.rungs):
        accuracies = [o.accuracy for o in seen if o.candidate == index]
        found = policies[rung.policy].native
        rows.append(
            {
                "network": rung.name,
                "base": rung.native.spec.name,
                "policy": rung.policy,
                "phi": rung.phi,
                "alpha": found.alpha,
                "beta": found.beta,
                "gamma": found.gamma,
                "depth": rung.native.effective.depth,
                "width": rung.native.effective.width,
                "resolution": rung.native.spec.resolution,
                "flops": rung.native.cost.flops,
                "macs": rung.native.cost.macs,
                "params": rung.native.cost.params,
                "activations": rung.native.cost.activations,
                "accuracy": float(np.mean(accuracies)) if accuracies else math.nan,
                "accuracy_stderr": _standard_error(accuracies),
                "seeds": len(accuracies),
                "proxy_flops": rung.proxy.cost.flops,
                "proxy_resolution": rung.proxy.spec.resolution,
                "proxy_ratio": rung.proxy.ratio,
            }
        )
    return rows


def _standard_error(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
