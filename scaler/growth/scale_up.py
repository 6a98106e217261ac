"""Step two: the networks of a ladder, trained on one proxy and tested."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation
from scaler.growth.ladder import GrownNetwork, Missing, Rungs, ladder, phi_for
from scaler.growth.origin import Origin
from scaler.growth.policies import SINGLE
from scaler.growth.time_budget import fitting, timed
from scaler.networks.spec import NetworkSpec
from scaler.runs import RUN_FILE
from scaler.scaling.shares import Shares
from scaler.search.candidates.proxy_base import bases
from scaler.search.candidates.realise import Scalable
from scaler.search.result import Policy
from scaler.search.space import Space
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.time_budget import fit_images
from scaler.search.workload import Settings, Workload, earlier_run, space_of, workload
from scaler.training.recipe import training_flops

#: Seconds that a scaling takes where nobody says what is compared, or how long it may take.
USUAL_TIME = 540.0


@dataclass(frozen=True)
class Asked:
    """What the user wants to see.

    Attributes:
        phis: of the networks.
        compare: policies beside the chosen one; None is the single dimensions within the usual time.
        flops: in place of ``phis``, FLOPs of the largest network, such as ``4G``.
    """

    phis: tuple[float, ...]
    compare: tuple[str, ...] | None = None
    flops: str | None = None


@dataclass(frozen=True)
class ScaleUp:
    """Networks ready to be trained.

    Attributes:
        origin: where the coefficients come from.
        asked: what the user wants to see.
        policies: those that are grown, by name; the chosen one first.
        rungs: the FLOPs at each phi, and what is scaled.
        networks: those of all policies.
        missing: those that could not be made fairly.
        dropped: those that the time does not allow.
        work: the trainings; networks with the same proxy share one.
    """

    origin: Origin
    asked: Asked
    policies: Mapping[str, Policy]
    rungs: Rungs
    networks: tuple[GrownNetwork, ...]
    missing: tuple[Missing, ...]
    dropped: tuple[GrownNetwork, ...]
    work: Workload

    @property
    def native(self) -> Scalable:
        """The base at its own size."""
        return self.rungs.native

    @property
    def proxy(self) -> Scalable:
        """What is trained in its place."""
        return self.rungs.proxy

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result."""
        return {
            **question(self.origin, self.asked, self.work.settings),
            "space": self.work.space.model_dump(mode="json"),
            "networks": [[network.policy, network.phi] for network in self.networks],
            "data_fingerprint": self.work.data.fingerprint,
            "networks_fingerprint": self.work.networks_fingerprint,
        }

    def attributes(self) -> list[Mapping[str, Any]]:
        """What the study's dashboard shows of each training."""
        firsts = {network.training: network for network in reversed(self.networks)}
        return [
            {"network": n.name, "phi": n.phi, "policy": n.policy, "flops": n.native.cost.flops}
            for _, n in sorted(firsts.items())
        ]


def question(origin: Origin, asked: Asked, settings: Settings) -> dict[str, Any]:
    """What the user asked, as it stands in a run's configuration."""
    return {
        "asked": {
            "phis": list(asked.phis),
            "compare": None if asked.compare is None else list(asked.compare),
            "flops": asked.flops,
            "space": origin.space.model_dump(mode="json"),
        },
        "policy": {"name": origin.name, "alpha": origin.chosen.native.alpha,
                   "beta": origin.chosen.native.beta, "gamma": origin.chosen.native.gamma,
                   "path": type(origin.chosen).__name__},
        "search": origin.search,
        "time_budget": settings.time_budget,
        "seed": settings.seed,
    }  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """What an earlier session fitted into its time: the networks by policy and phi, and the space."""

    networks: frozenset[tuple[str, float]]
    space: Space


def fitted_before(
    results: Path, name: str | None, origin: Origin, asked: Asked, settings: Settings
) -> Fitted | None:
    """What an unfinished run of the same question, or the run of this name, was fitted to.

    A second look at the machine would fit other networks, and the interrupted run could not go on.
    """
    run = earlier_run(results, "scale", name, question(origin, asked, settings))
    if run is None:
        return None
    try:
        networks = frozenset((str(policy), float(phi)) for policy, phi in run.configuration["networks"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{run.path / RUN_FILE} is damaged: put back a copy, or remove the run") from None
    return Fitted(networks, space_of(run))


def prepare_scale(origin: Origin, settings: Settings, asked: Asked, fitted: Fitted | None = None) -> ScaleUp:
    """Realise and count the networks, fit them into the time, and plan their trainings.

    Raises:
        UserError: a network cannot be made, or its images are larger than the data's.
    """
    space = origin.space
    data = settings.request(space).load()
    native, proxy = bases(space, len(data.classes))
    pixels = math.inf if space.proxy.upsample else data.native_resolution
    rungs = Rungs(native, proxy, origin.ratio, space.tolerance, pixels)
    phis = asked.phis
    if asked.flops is not None:  # which may be the base's own
        phis = tuple(dict.fromkeys((0.0, phi_for(asked.flops, native, origin.ratio))))
    policies = origin.policies(SINGLE if asked.compare is None else asked.compare, native, proxy)
    networks, missing = ladder(policies, phis, rungs)
    clock = timed(networks, space, data, settings)
    fit = None
    if fitted is not None:
        kept, space = [n for n in networks if (n.policy, n.phi) in fitted.networks], fitted.space
    elif (wanted := _time(asked, settings)) is None:
        kept = networks
    else:
        kept = fitting(networks, clock.seconds, wanted)
        if clock.seconds(kept) > wanted:
            fit = partial(fit_images, available=data.sizes["train"], wanted=wanted)
    dropped = tuple(network for network in networks if network not in kept)
    kept = _renumbered(kept)
    work = _work(kept, space, settings, clock.speed(kept), fit)
    return ScaleUp(origin, asked, policies, rungs, tuple(kept), tuple(missing), dropped, work)


def _time(asked: Asked, settings: Settings) -> float | None:
    """Seconds that the trainings may take, if anything limits them."""
    return settings.time_budget or (USUAL_TIME if asked.compare is None else None)


def _renumbered(networks: Sequence[GrownNetwork]) -> list[GrownNetwork]:
    """The same networks, their trainings counted from 0 without gaps."""
    places = {training: place for place, training in enumerate(dict.fromkeys(n.training for n in networks))}
    return [replace(network, training=places[network.training]) for network in networks]


def _work(
    networks: Sequence[GrownNetwork],
    space: Space,
    settings: Settings,
    speed: float,
    fit: Callable[[Space, float], Space] | None,
) -> Workload:
    """The trainings of some networks."""
    firsts = {network.training: network.proxy for network in reversed(networks)}
    proxies = [proxy for _, proxy in sorted(firsts.items())]
    flops = [proxy.cost.flops for proxy in proxies]
    return workload(
        space,
        settings,
        tuple(proxy.spec for proxy in proxies),
        lambda space: Exhaustive(),
        lambda space, images: _experiment(flops, space, images, settings.seed),
        fit,
        speed,
        on_test=True,
    )


def _experiment(flops: Sequence[int], space: Space, images: int, seed: int) -> Experiment:
    middle = Shares(1 / 3, 1 / 3, 1 / 3)  # an exhaustive comparison has no use for shares
    return Experiment(
        shares=tuple(middle for _ in flops),
        epoch_flops=tuple(float(training_flops(count, images)) for count in flops),
        rungs=(space.recipe.epochs,),
        max_seeds=space.seeds,
        seed=seed,
    )


def curve_rows(scale_up: ScaleUp, seen: Sequence[Observation]) -> list[dict[str, object]]:
    """The rows of ``curve.csv``: a row per network; accuracies are those of the proxies on the test part.

    ``alpha, beta, gamma`` are the policy's coefficients. The standard error is over seeds; it is missing
    for one seed, and a training that diverged counts as the chance that it had: nothing. One that memory was
    too short for does not count. ``training`` is
    the candidate of ``trials.csv``: networks that have the same proxy share one.
    """
    rows = []
    for network in scale_up.networks:
        accuracies = [o.accuracy for o in seen if o.candidate == network.training and o.state != "too large"]
        found = scale_up.policies[network.policy].native
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
                "training": network.training,
                "flops_ratio": network.native.ratio,
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
