import pytest

from scaler.errors import UserError
from scaler.scaling.multipliers import PUBLISHED, Coefficients, Multipliers


def test_phi_one_gives_the_coefficients_and_phi_zero_the_base() -> None:
    assert PUBLISHED.multipliers == Multipliers(1.2, 1.1, 1.15)
    assert PUBLISHED.at(0) == Multipliers(1, 1, 1)


def test_negative_phi_shrinks_by_what_positive_phi_grows() -> None:
    grown, shrunk = PUBLISHED.at(2.5), PUBLISHED.at(-2.5)
    product = grown * shrunk
    assert (product.depth, product.width, product.resolution) == pytest.approx((1, 1, 1))


def test_published_product_is_not_two() -> None:
    # efficientnet_constants.csv: constraint_value_at_published_constants
    assert PUBLISHED.alpha * PUBLISHED.beta**2 * PUBLISHED.gamma**2 == pytest.approx(1.92027, abs=1e-5)


def test_fractional_phi_composes() -> None:
    found = Coefficients(1.3, 1.05, 1.2)
    half = found.at(0.5)
    assert half.depth**2 == pytest.approx(1.3)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_multiplier_must_be_positive(value: float) -> None:
    with pytest.raises(UserError, match="width multiplier"):
        Multipliers(1, value, 1)


def test_distance_is_the_largest_relative_difference() -> None:
    assert Multipliers(1, 1.1, 1).largest_difference(Multipliers(1, 1, 1)) == pytest.approx(0.0953, abs=1e-4)
