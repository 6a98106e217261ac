"""Paired differences against the paired t test that they are."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scaler.growth.comparison import differences
from scaler.report.answers.scaling import comparison_lines, with_differences
from scaler.report.columns import curve_frame


def a_curve(*rows: tuple[str, float, int]) -> pd.DataFrame:
    named = [
        {"network": f"{p}-{phi}", "base": "b", "policy": p, "phi": phi, "flops": 2**phi, "training": t}
        for p, phi, t in rows
    ]
    return curve_frame(named)


TWO = a_curve(("compound", 1, 0), ("depth", 1, 1))


def test_two_networks_are_a_paired_t_test() -> None:
    noise = np.random.default_rng(0)
    effect = 0.05 * noise.standard_normal(5)  # of the seeds: large, and shared
    one, two = (0.6 + effect + 0.004 * noise.standard_normal(5) for _ in range(2))
    values = {(c, s): float(v) for c, row in enumerate((one, two)) for s, v in enumerate(row)}
    (found,) = differences(TWO, values)
    expected = stats.ttest_rel(one, two).confidence_interval(0.95)
    assert found.gain == pytest.approx(float(np.mean(one - two)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_mean_over_phis_is_surer_than_each() -> None:
    curve = a_curve(("compound", 1, 0), ("compound", 2, 1), ("depth", 1, 2), ("depth", 2, 3))
    noise = np.random.default_rng(1)
    level = (0.62, 0.66, 0.60, 0.64)
    values = {(c, s): level[c] + 0.005 * noise.standard_normal() for c in range(4) for s in range(4)}
    first, second, mean = differences(curve, values)
    assert (first.phi, second.phi, mean.phi) == (1, 2, None)
    assert mean.gain == pytest.approx((first.gain + second.gain) / 2)
    assert mean.stderr == pytest.approx(first.stderr / math.sqrt(2))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    noise = np.random.default_rng(2)
    curve = a_curve(*((p, phi, 3 * i + phi - 1) for i, p in enumerate("abc") for phi in (1, 2, 3)))
    held = []
    for _ in range(400):
        seeds = 0.02 * noise.standard_normal(2)
        values = {(t, s): 0.5 + seeds[s] + 0.01 * noise.standard_normal() for t in range(9) for s in (0, 1)}
        held += [one.low <= 0 <= one.high for one in differences(curve, values)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_one_seed_gives_a_difference_without_an_interval() -> None:
    (found,) = differences(TWO, {(0, 0): 0.6, (1, 0): 0.5})
    assert found.gain == pytest.approx(0.1)
    assert math.isnan(found.low)
    assert not found.decided
    assert "nobody knows how sure" in next(comparison_lines([found], "compound"))


def test_a_shared_network_is_no_difference() -> None:
    curve = a_curve(("compound", 1, 0), ("width", 1, 0))
    (found,) = differences(curve, {(0, 0): 0.6, (0, 1): 0.5})
    assert found.shared
    assert list(comparison_lines([found], "compound")) == ["compound and width are the same networks."]
    assert with_differences(curve, [found])["difference"].isna().all()


def test_sentences_say_which_way_it_went() -> None:
    def line(*gains: float) -> str:
        values = {(c, s): 0.5 + (gains[s] if c == 0 else 0) for c in (0, 1) for s in range(len(gains))}
        return next(comparison_lines(differences(TWO, values), "compound"))

    assert "better at phi = 1, +3.0 [+1.8, +4.2] points" in line(0.030, 0.025, 0.035)
    assert "worse at phi = 1" in line(-0.030, -0.025, -0.035)
    assert "cannot be told apart" in line(-0.030, 0.031, 0.002)
