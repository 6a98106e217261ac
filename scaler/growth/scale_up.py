"""Step two: the networks of a ladder, trained on one proxy and tested."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation
from scaler.growth.ladder import GrownNetwork, ladder, phi_for
from scaler.networks.spec import NetworkSpec
from scaler.runs import Run, all_runs, load_run
from scaler.scaling.budget import parse_budget
from scaler.scaling.multipliers import PUBLISHED, Coefficients
from scaler.scaling.shares import PUBLISHED_SHARES, Shares
from scaler.search.candidates.enumeration import PROXY_REACH
from scaler.search.candidates.proxy_base import bases
from scaler.search.candidates.realise import Scalable, Target, meet
from scaler.search.result import Policy, SearchResult
from scaler.search.space import Space
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.workload import Settings, Workload, workload
from scaler.training.recipe import training_flops

#: Names of the chosen policy in a curve: what a search found, or the published coefficients without one.
COMPOUND, PUBLISHED_NAME = "compound", "published"
#: Policies that a curve may show beside the chosen one, by the candidate that begins each.
SINGLE = {"depth": "depth-only", "width": "width-only", "resolution": "resolution-only"}


@dataclass(frozen=True)
class Origin:
    """Where the coefficients come from.

    Attributes:
        policies: by the name that a curve gives them; the chosen one first.
        space: base, data, proxy and recipe that the networks are trained with.
        search: the run's name; empty without one.
    """

    policies: dict[str, Policy]
    space: Space
    search: str = ""

    @property
    def chosen_only(self) -> Origin:
        """Without the single dimensions."""
        return replace(self, policies=dict(list(self.policies.items())[:1]))

    def on(self, overrides: Mapping[str, Any]) -> Origin:
        """The same coefficients, where keys of the search space are replaced."""
        return replace(self, space=self.space.override(**overrides))


@dataclass(frozen=True)
class ScaleUp:
    """Networks ready to be trained.

    Attributes:
        origin: where the coefficients come from; its policies are those that are grown.
        native, proxy: the base, and what is trained in its place.
        networks: those of all policies.
        work: their trainings.
    """

    origin: Origin
    native: Scalable
    proxy: Scalable
    networks: tuple[GrownNetwork, ...]
    work: Workload

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result."""
        return {
            "space": self.origin.space.model_dump(mode="json"),
            "search": self.origin.search,
            "seed": self.work.settings.seed,
            "networks": [[network.policy, network.phi] for network in self.networks],
            "data_fingerprint": self.work.data.fingerprint,
        }

    def attributes(self) -> list[Mapping[str, Any]]:
        """What the study's dashboard shows of each network."""
        return [
            {"network": n.name, "phi": n.phi, "policy": n.policy, "flops": n.native.cost.flops}
            for n in self.networks
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


def origin_of(result: SearchResult, search: str) -> Origin:
    """What a finished search found, by the name of its run."""
    singles = {name: result.policies[c] for name, c in SINGLE.items() if c in result.policies}
    return Origin({COMPOUND: result.chosen, **singles}, result.space, search)


def published_origin(space: Space, settings: Settings) -> Origin:
    """The published coefficients, with a proxy that costs as many times its base as the native network."""
    native, proxy = bases(space, len(settings.request(space).load().classes))
    first = native.realise(PUBLISHED.multipliers)
    second = meet(proxy, first.effective, Target(first.ratio, space.tolerance), PROXY_REACH)
    policy = Policy(PUBLISHED_SHARES, PUBLISHED, Coefficients(*astuple(second.asked)), first.ratio)
    return Origin({PUBLISHED_NAME: policy}, space)


def prepare_scale(
    origin: Origin, settings: Settings, *, phis: Sequence[float], flops: str | None = None
) -> ScaleUp:
    """Realise and count the networks, and plan their trainings.

    Args:
        origin: policies and space; every policy is grown.
        settings: the user's.
        phis: of the networks.
        flops: a budget for the largest network instead, e.g. ``4G``; its phi is found by measured count.

    Raises:
        UserError: a network cannot be made, or its images are larger than the data's.
    """
    space = origin.space
    native, proxy = bases(space, len(settings.request(space).load().classes))
    grown = [(name, policy, phis) for name, policy in origin.policies.items()]
    if flops is not None:
        asked = parse_budget(flops).flops(cost(native.base).flops)
        # Every policy to the same FLOPs: exponents differ a little, and so do the phis.
        grown = [(name, policy, (0.0, phi_for(policy, native, asked))) for name, policy, _ in grown]
    networks = tuple(ladder(grown, native, proxy))
    work = workload(
        space,
        settings,
        tuple(network.proxy.spec for network in networks),
        lambda space: Exhaustive(),
        lambda space, images: _experiment(networks, space, images, settings.seed),
    )
    return ScaleUp(origin, native, proxy, networks, work)


def _experiment(networks: Sequence[GrownNetwork], space: Space, images: int, seed: int) -> Experiment:
    middle = Shares(1 / 3, 1 / 3, 1 / 3)  # an exhaustive comparison has no use for shares
    return Experiment(
        shares=tuple(middle for _ in networks),
        epoch_flops=tuple(float(training_flops(n.proxy.cost.flops, images)) for n in networks),
        rungs=(space.recipe.epochs,),
        max_seeds=space.seeds,
        seed=seed,
    )


def curve_rows(scale_up: ScaleUp, seen: Sequence[Observation]) -> list[dict[str, object]]:
    """The rows of ``curve.csv``: a row per network; accuracies are those of the proxies on the test part.

    ``alpha, beta, gamma`` are the policy's coefficients. The standard error is over seeds; it is missing
    for one seed, and a training that diverged counts as the chance that it had: nothing.
    """
    rows = []
    for index, network in enumerate(scale_up.networks):
        accuracies = [o.accuracy for o in seen if o.candidate == index]
        found = scale_up.origin.policies[network.policy].native
        native: NetworkSpec = network.native.spec
        rows.append(
            {
                "network": network.name,
                "base": native.name,
                "policy": network.policy,
                "phi": network.phi,
                "alpha": found.alpha,
                "beta": found.beta,
                "gamma": found.gamma,
                "depth": network.native.effective.depth,
                "width": network.native.effective.width,
                "resolution": native.resolution,
                "flops": network.native.cost.flops,
                "macs": network.native.cost.macs,
                "params": network.native.cost.params,
                "activations": network.native.cost.activations,
                "accuracy": float(np.mean(accuracies)) if accuracies else math.nan,
                "accuracy_stderr": _standard_error(accuracies),
                "seeds": len(accuracies),
                "proxy_flops": network.proxy.cost.flops,
                "proxy_resolution": network.proxy.spec.resolution,
                "proxy_ratio": network.proxy.ratio,
            }
        )
    return rows


def _standard_error(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
