"""What a scaling tells: the plan beforehand, and how the policies compare, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from scaler.cost.network_cost import cost
from scaler.growth.comparison import Difference
from scaler.growth.policies import SINGLE
from scaler.growth.scale_up import ScaleUp
from scaler.report.answers.search import duration, fewer, longer, proxy_line
from scaler.scaling.budget import format_count
from scaler.search.workload import training_images
from scaler.words import counted


def scale_lines(scale_up: ScaleUp, *, train: bool = True) -> Iterator[str]:
    """The plan, in sentences, before the work starts; without trainings there is none of them."""
    work, base = scale_up.work, scale_up.native.base
    space, plan = work.space, work.plan
    yield f"Base        {base.name}, {base.resolution} px, {format_count(cost(base).flops)} FLOPs"
    yield from _policy_lines(scale_up)
    yield f"Proxy       {proxy_line(scale_up.proxy, scale_up.native)}"
    if not train:
        count = len(scale_up.networks)
        yield f"Plan        {count} network{'s are' if count > 1 else ' is'} counted, none is trained"
        return
    wanted = scale_up.origin.space
    images, asked = (training_images(one, work.data) for one in (space, wanted))
    of = f" of {asked} (to fit the time)" if images < asked else ""
    yield (
        f"Data        {work.data.name}: {images}{of} training images{fewer(wanted.recipe.images, asked)}, "
        f"{counted(space.recipe.epochs, 'epoch')}, "
        f"tested on {work.data.sizes['test']} held-out images"
    )
    for note in work.data.notes:
        yield f"            {note}"
    shared = len(scale_up.networks) - len(work.networks)
    once = f" ({shared} share{'s' if shared == 1 else ''} the training of another)" if shared else ""
    yield (
        f"Plan        {counted(len(scale_up.networks), 'network')}{once} x {counted(space.seeds, 'seed')}, "
        f"{plan.images:,} images, "
        f"{format_count(plan.train_flops)} training FLOPs, about {duration(work.seconds)} on "
        f"{counted(work.workers, 'worker')}"
    )
    yield from longer(work)


def _policy_lines(scale_up: ScaleUp) -> Iterator[str]:
    """What grows, to which FLOPs, and what is not compared."""
    for name, policy in scale_up.policies.items():
        found = policy.native
        yield (
            f"Policy      {name}: alpha = {found.alpha:.3f}, beta = {found.beta:.3f}, "
            f"gamma = {found.gamma:.3f}"
        )
    ratio, tolerance = scale_up.rungs.ratio, scale_up.rungs.tolerance
    yield (
        f"Budget      {ratio:.3g}^phi times the base's FLOPs for every policy, within {tolerance:.0%}, "
        "native and as proxy"
    )
    for network in scale_up.networks:
        target = scale_up.rungs.at(network.phi)
        for which, one in (("", network.native), (" as proxy", network.proxy)):
            if network.phi and not target.met_by(one):
                miss = target.miss(one.ratio)
                yield f"            {network.name} misses it{which} by {miss:+.1%}: nothing nearer exists"
    for left in scale_up.missing:
        yield f"            {left.policy} at phi = {left.phi:g} is left out: {left.reason}"
    yield from _dropped_lines(scale_up)


def _dropped_lines(scale_up: ScaleUp) -> Iterator[str]:
    """What the time does not allow, and how to have it."""
    if not scale_up.dropped:
        if scale_up.asked.compare is None and len(scale_up.policies) > 1:
            yield "            compared with the single dimensions; --compare none leaves them out"
        return
    by_phi: dict[float, list[str]] = {}
    for network in scale_up.dropped:
        by_phi.setdefault(network.phi, []).append(network.policy)
    names = "; ".join(f"{', '.join(names)} at phi = {phi:g}" for phi, names in sorted(by_phi.items()))
    how = "a longer --time-budget"
    if scale_up.work.settings.time_budget is None:
        how = f"--compare {','.join(SINGLE)} or a longer --time-budget"
    yield f"            the time does not allow {names}; {how} has them trained"


def comparison_lines(found: Sequence[Difference], chosen: str) -> Iterator[str]:
    """How the chosen policy compares with the others at equal FLOPs; points are percentage points."""
    for policy in dict.fromkeys(one.policy for one in found):
        own = [one for one in found if one.policy == policy]
        if all(one.shared for one in own):
            yield f"{chosen} and {policy} are the same networks."
            continue
        each = "; ".join(f"phi {one.phi:g} {_points(one)}" for one in own if one.phi is not None)
        whole = next((one for one in own if one.phi is None), own[0])
        yield f"{chosen} against {policy} at equal FLOPs: {_verdict(whole)} ({each})"


def _verdict(one: Difference) -> str:
    where = "on the mean of all phis" if one.phi is None else f"at phi = {one.phi:g}"
    if math.isnan(one.low):
        return f"{100 * one.gain:+.1f} points {where}, one seed each, so nobody knows how sure"
    if not one.decided:
        return f"cannot be told apart {where}, {_points(one)} points"
    better = "better" if one.gain > 0 else "worse"
    return f"{better} {where}, {_points(one)} points"


def _points(one: Difference) -> str:
    if one.shared:
        return "same network"
    if math.isnan(one.low):
        return f"{100 * one.gain:+.1f}"
    return f"{100 * one.gain:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def with_differences(frame: pd.DataFrame, found: Sequence[Difference]) -> pd.DataFrame:
    """The table of ``curve.csv`` with every network's difference from the chosen policy's at its phi."""
    at = {(one.policy, one.phi): one for one in found if not one.shared}
    rows = [at.get((policy, phi)) for policy, phi in zip(frame["policy"], frame["phi"], strict=True)]
    columns = {
        "difference": [None if one is None else -one.gain for one in rows],
        "difference_low": [None if one is None else -one.high for one in rows],
        "difference_high": [None if one is None else -one.low for one in rows],
    }
    return frame.assign(**{name: pd.Series(values, dtype="float64") for name, values in columns.items()})
