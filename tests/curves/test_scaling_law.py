"""Slopes by hand, and power laws against curves of which the law is known."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from scaler.curves.scaling_law import NotFitted, PowerLaw, fit_power_law, overall_slope, slopes

NAN = float("nan")


def law(
    flops: Sequence[float],
    floor: float = 0.1,
    scale: float = 0.3,
    exponent: float = 0.4,
    reference: float = 1e7,
) -> list[float]:
    return [1 - floor - scale * (f / reference) ** -exponent for f in flops]


def test_a_slope_is_points_per_doubling() -> None:
    first, second = slopes([4e6, 1e6, 8e6], [0.70, 0.60, 0.72], [0.03, 0.04, 0.0])
    assert first.flops == (1e6, 4e6)
    assert first.gain == pytest.approx(0.05)
    assert first.stderr == pytest.approx(0.025)
    assert second.gain == pytest.approx(0.02)
    assert second.stderr == pytest.approx(0.03)


def test_untrained_and_equally_dear_networks_give_no_slope() -> None:
    assert len(slopes([1, 2, 2, 4], [0.1, 0.2, 0.25, NAN], [0.01] * 4)) == 1
    assert overall_slope([1, 2], [0.1, NAN], [0.01] * 2) is None
    assert overall_slope([2, 2], [0.1, 0.2], [0.01] * 2) is None


def test_an_unknown_error_stays_unknown() -> None:
    whole = overall_slope([1e6, 2e6], [0.6, 0.7], [NAN, 0.01])
    assert whole is not None
    assert whole.gain == pytest.approx(0.1)
    assert math.isnan(whole.stderr)


def test_a_known_law_is_found_again() -> None:
    flops = [1e6 * 2**k for k in range(10)]
    found = fit_power_law(flops, law(flops), [NAN] * len(flops))
    assert isinstance(found, PowerLaw)
    assert found.floor == pytest.approx(0.1, abs=1e-3)
    assert found.exponent == pytest.approx(0.4, abs=5e-3)
    for f, accuracy in zip(flops, law(flops), strict=True):
        assert found.accuracy(f) == pytest.approx(accuracy, abs=1e-4)


def test_standard_errors_are_those_of_repeated_experiments() -> None:
    noise = np.random.default_rng(0)
    flops = [1e6 * 2**k for k in range(12)]
    sigma = 0.002
    found: list[PowerLaw] = []
    for _ in range(60):
        accuracies = np.array(law(flops)) + sigma * noise.standard_normal(len(flops))
        one = fit_power_law(flops, accuracies.tolist(), [sigma] * len(flops))
        assert isinstance(one, PowerLaw)
        found.append(one)
    spread = np.std([one.exponent for one in found], ddof=1)
    assert np.mean([one.exponent_stderr for one in found]) == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize(
    ("flops", "accuracies", "reason"),
    [
        ([1, 2, 4], [0.5, 0.6, 0.65], "needs 4 networks of different cost, there are 3"),
        ([1, 2, 4, 4, 8], [0.5, 0.6, 0.65, 0.66, NAN], "there are 3"),
        ([1, 2, 4, 8, 16], [0.6, 0.59, 0.58, 0.57, 0.56], "not"),
        ([1, 2, 4, 8, 16], [1 - 0.8 * f**-0.5 for f in (1, 2, 4, 8, 16)], "floor"),
    ],
)
def test_what_cannot_be_fitted_says_why(flops: Sequence[float], accuracies: list[float], reason: str) -> None:
    found = fit_power_law(flops, accuracies, [NAN] * len(flops))
    assert isinstance(found, NotFitted)
    assert reason in found.reason
