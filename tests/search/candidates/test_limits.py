from dataclasses import replace

import pytest

from scaler.cost.memory import memory
from scaler.errors import UserError
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import THEORY
from scaler.search.candidates import limits
from scaler.search.candidates.enumeration import Candidates, enumerate_candidates
from scaler.search.candidates.grid import lattice_points
from scaler.search.candidates.limits import MEMORY_BATCH, beyond_limits, within
from scaler.search.candidates.realise import Scalable, Target
from scaler.search.space import Limits


@pytest.fixture(scope="module")
def found() -> Candidates:
    spec = small(base("resnet-20"), 32).with_classes(10)
    native = Scalable(spec, Rounding(divisor=1), Multipliers(1, 0.25, 1))
    return enumerate_candidates(lattice_points(1, 2.0, THEORY), native, native, Target(2.0, 0.1), THEORY)


def test_no_limits_leave_all(found: Candidates) -> None:
    assert within(found, beyond_limits(found, Limits(), "cpu")) == found


@pytest.mark.parametrize("what", ["params", "activations"])
def test_counts_above_a_limit_are_left_out_with_the_reason(found: Candidates, what: str) -> None:
    costs = sorted(getattr(c.native.cost, what) for c in found.kept)
    kept = within(found, beyond_limits(found, Limits(**{what: costs[0]}), "cpu"))
    assert [getattr(c.native.cost, what) for c in kept.kept] == [c for c in costs if c == costs[0]]
    assert [c.id for c in kept.kept] == list(range(len(kept.kept)))
    assert len(kept.kept) + len(kept.left_out) == len(found.kept) + len(found.left_out)
    assert all(f"{what}, above the limit of" in out.reason for out in kept.left_out)


def test_memory_is_measured(found: Candidates) -> None:
    two = replace(found, kept=found.kept[:2])
    used = [memory(c.native.spec, MEMORY_BATCH).training for c in two.kept]
    assert used[0] != used[1]
    kept = within(two, beyond_limits(two, Limits(memory=min(used)), "cpu"))
    assert len(kept.kept) == sum(value == min(used) for value in used)


def test_a_limit_that_none_keeps_names_the_nearest(found: Candidates) -> None:
    with pytest.raises(UserError, match=r"no candidate keeps the limits: the nearest, .* too much"):
        beyond_limits(found, Limits(params=1000), "cpu")


def test_a_limit_below_a_millisecond_is_said_as_it_is(
    found: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_latency", lambda network, device: 12.34)
    with pytest.raises(UserError, match=r"12\.3 ms latency, above the limit of 0\.025 "):
        beyond_limits(found, Limits(latency=0.025), "cpu")


def test_what_an_interrupted_search_left_out_stays_out(found: Candidates) -> None:
    name = found.kept[1].point.name
    kept = within(found, {name: "17.1 ms latency, above the limit of 16.7"})
    assert [c.point.name for c in kept.kept] == [c.point.name for c in found.kept if c.point.name != name]
    assert [(out.point.name, out.reason[:7]) for out in kept.left_out[len(found.left_out) :]] == [
        (name, "17.1 ms")
    ]
    with pytest.raises(UserError, match="no candidate is left"):
        within(found, {c.point.name: "slow" for c in found.kept})
