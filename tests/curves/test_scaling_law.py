"""Slopes by hand."""

import math

import pytest

from scaler.curves.scaling_law import overall_slope, slopes

NAN = float("nan")


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


def test_of_networks_of_one_cost_the_first_counts() -> None:
    cost, accuracy, error = [1, 1, 2, 2], [0.6, 0.5, 0.7, 0.8], [0.01] * 4
    (step,) = slopes(cost, accuracy, error)
    whole = overall_slope(cost, accuracy, error)
    assert whole == step
    assert step.gain == pytest.approx(0.1)


def test_an_unknown_error_stays_unknown() -> None:
    whole = overall_slope([1e6, 2e6], [0.6, 0.7], [NAN, 0.01])
    assert whole is not None
    assert whole.gain == pytest.approx(0.1)
    assert math.isnan(whole.stderr)
