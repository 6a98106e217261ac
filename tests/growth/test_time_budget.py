"""What a time budget takes first."""

from collections.abc import Sequence

import pytest

from scaler.cost.network_cost import cost
from scaler.execution.plan import BESIDE_STEPS, END_SECONDS, START_SECONDS
from scaler.growth.ladder import GrownNetwork
from scaler.growth.time_budget import Clock, fitting
from scaler.networks.registry import base
from scaler.scaling.multipliers import Multipliers
from scaler.search.candidates.candidate import Realised
from scaler.search.space import read_space

SPEC = base("resnet-20")
ONE = Realised(SPEC, Multipliers(), Multipliers(), cost(SPEC), 1.0)
LADDER = [
    GrownNetwork(policy, phi, ONE, ONE, 10 * place + phi if phi else 0)
    for place, policy in enumerate(("compound", "depth", "width"))
    for phi in (range(4) if place == 0 else range(1, 4))
]


def seconds(networks: Sequence[GrownNetwork]) -> float:
    return float(sum(2**network.phi for network in networks))  # 1 + 14 + 14 + 14


def names(networks: Sequence[GrownNetwork]) -> list[str]:
    return [f"{network.policy[0]}{network.phi:g}" for network in networks]


def test_what_fits_with_half_the_images_is_kept_whole() -> None:
    assert fitting(LADDER, seconds, 22) == LADDER


def test_comparisons_at_the_largest_phi_go_first() -> None:
    assert names(fitting(LADDER, seconds, 14)) == ["c0", "c1", "c2", "c3", "d1", "d2", "w1", "w2"]


def test_the_chosen_policy_is_kept_longest_and_never_alone_with_its_base() -> None:
    assert names(fitting(LADDER, seconds, 5)) == ["c0", "c1", "c2", "c3"]
    assert names(fitting(LADDER, seconds, 3)) == ["c0", "c1", "c2"]
    assert names(fitting(LADDER, seconds, 0.01)) == ["c0", "c1"]


def test_a_shared_training_takes_its_time_once_and_slow_policies_count_as_slow() -> None:
    space = read_space("quick").override(seeds=2)
    clock = Clock(space, 1000, {"compound": 1e9, "depth": 1e8}, workers=2, at_once=2)
    one, twin = GrownNetwork("compound", 1, ONE, ONE, 1), GrownNetwork("depth", 1, ONE, ONE, 1)
    deep = GrownNetwork("depth", 1, ONE, ONE, 2)
    work = 3 * ONE.cost.flops * 1000 * 6 * 2
    beside = START_SECONDS + END_SECONDS
    alone = pytest.approx(beside + BESIDE_STEPS * work / 2e9)
    assert clock.seconds([one, twin]) == clock.seconds([one]) == alone
    assert clock.seconds([one, deep]) == pytest.approx(beside + BESIDE_STEPS * (work / 2e9 + work / 2e8))
