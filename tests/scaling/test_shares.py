from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.errors import UserError
from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import (
    PUBLISHED_SHARES,
    Exponents,
    Shares,
    coefficients,
    lattice,
    shares_of,
)

parts = st.tuples(*[st.integers(0, 20)] * 3).filter(lambda three: sum(three) > 0)
exponents = st.builds(Exponents, *[st.floats(0.5, 3)] * 3)


@given(parts, exponents, st.floats(0.1, 8).filter(lambda b: abs(b - 1) > 0.01))
def test_shares_spend_the_whole_budget(three: tuple[int, int, int], powers: Exponents, budget: float) -> None:
    shares = Shares(*(part / sum(three) for part in three))
    found = coefficients(shares, budget, powers)
    spent = found.alpha**powers.depth * found.beta**powers.width * found.gamma**powers.resolution
    assert spent == pytest.approx(budget)
    assert astuple(shares_of(found, powers)) == pytest.approx(astuple(shares), abs=1e-6)


def test_corners_are_single_dimensions() -> None:
    assert coefficients(Shares(1, 0, 0), 2) == Coefficients(2, 1, 1)
    assert coefficients(Shares(0, 1, 0), 2).beta == pytest.approx(2**0.5)
    assert coefficients(Shares(0, 0, 1), 4).gamma == pytest.approx(2)


def test_an_axis_that_a_shrinking_network_leaves_alone_has_no_share() -> None:
    shares = shares_of(Coefficients(0.5, 1, 1))
    assert [f"{share:.0%}" for share in astuple(shares)] == ["100%", "0%", "0%"]  # and not -0%


@pytest.mark.parametrize("divisions", [1, 2, 4, 7])
def test_lattice_has_its_triangular_number_of_distinct_points(divisions: int) -> None:
    points = list(lattice(divisions))
    assert len(set(points)) == len(points) == (divisions + 1) * (divisions + 2) // 2
    assert {Shares(1, 0, 0), Shares(0, 1, 0), Shares(0, 0, 1)} <= set(points)


def test_published_shares() -> None:
    # ln 1.2 : 2 ln 1.1 : 2 ln 1.15, by hand
    assert astuple(PUBLISHED_SHARES) == pytest.approx((0.2794, 0.2922, 0.4284), abs=1e-4)


@pytest.mark.parametrize("wrong", [(0.5, 0.6, 0.0), (1.2, -0.2, 0.0)])
def test_shares_off_the_triangle_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(UserError, match="sum to 1"):
        Shares(*wrong)


def test_coefficients_of_both_signs_are_no_policy() -> None:
    with pytest.raises(UserError, match="no policy"):
        shares_of(Coefficients(1.5, 0.9, 1.0))
