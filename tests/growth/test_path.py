"""The law's own path: at every size the shares that are best there."""

import math
from dataclasses import astuple

import pytest

from scaler.growth.ladder import Rungs, ladder
from scaler.growth.policies import PathPolicy
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import Exponents, Shares, coefficients
from scaler.search.candidates.realise import Scalable

EXPONENTS = Exponents()
WIDE, DEEP = Shares(0.0, 1.0, 0.0), Shares(0.5, 0.5, 0.0)
START = coefficients(WIDE, 2.0, EXPONENTS)
PATH = PathPolicy(WIDE, START, START, 2.0, 2.0, EXPONENTS, ((2.0, WIDE), (16.0, DEEP)))


def shares(found: Multipliers) -> tuple[float, ...]:
    parts = [e * math.log(m) for e, m in zip(astuple(EXPONENTS), astuple(found), strict=True)]
    return tuple(part / sum(parts) for part in parts)


@pytest.mark.parametrize(
    ("phi", "expected"),
    [(1, (0, 1, 0)), (2.5, (0.25, 0.75, 0)), (4, (0.5, 0.5, 0)), (5, (0.5, 0.5, 0)), (0.5, (0, 1, 0))],
)
def test_shares_change_along_the_path_and_stay_at_its_ends(phi: float, expected: tuple[float, ...]) -> None:
    found = PATH.multipliers(phi)
    assert shares(found) == pytest.approx(expected)
    assert found.depth * found.width**2 * found.resolution**2 == pytest.approx(2.0**phi)


def test_the_base_is_the_base() -> None:
    assert PATH.multipliers(0) == Multipliers()


def test_networks_on_the_path_measure_their_flops() -> None:
    native = Scalable(base("resnet-20"), Rounding(divisor=4))
    proxy = Scalable(small(base("resnet-20"), 16), Rounding(divisor=1), Multipliers(1, 0.5, 1))
    networks, missing = ladder({"compound": PATH}, (0, 1, 2, 3), Rungs(native, proxy, 2.0, 0.05))
    assert not missing
    assert [n.native.ratio for n in networks] == pytest.approx([1, 2, 4, 8], rel=0.05)
    assert networks[1].native.effective.depth == pytest.approx(1, abs=0.15)
    assert networks[3].native.effective.depth > 1.3
