"""Answers of a growth law, and its refusals."""

import numpy as np
import pandas as pd
import pytest

from scaler.api.results import Scaling
from scaler.curves.growth_law import NoLaw
from scaler.errors import UserError
from scaler.growth.law import growth_laws
from scaler.report.answers.growth_law import (
    Laws,
    flops_lines,
    for_accuracy,
    law_lines,
    law_rows,
    parse_accuracy,
    predict,
    prediction_lines,
)
from scaler.report.columns import curve_frame

LEVELS = {("compound", 0): 0.60, ("compound", 1): 0.67, ("compound", 2): 0.72, ("compound", 3): 0.755,
          ("depth", 1): 0.62, ("depth", 2): 0.64, ("depth", 3): 0.655}  # fmt: skip


@pytest.fixture(scope="module")
def laws() -> Laws:
    generator = np.random.default_rng(0)
    rows, values = [], dict[tuple[int, int], float]()
    for training, ((policy, phi), level) in enumerate(LEVELS.items()):
        seeds = [level + 0.004 * generator.standard_normal() for _ in range(3)]
        values |= {(training, index): value for index, value in enumerate(seeds)}
        rows.append({"network": f"{policy}-{phi}", "base": "b", "policy": policy, "phi": phi,
                     "flops": int(1e8 * 2**phi), "training": training,
                     "accuracy": np.mean(seeds)})  # fmt: skip
    return growth_laws(curve_frame(rows), values)


def test_a_network_between_those_measured_is_predicted_for_every_policy(laws: Laws) -> None:
    compound, depth = predict(laws, "4x", 1e8)
    assert compound["accuracy"] == pytest.approx(0.72, abs=0.01)
    assert depth["accuracy"] == pytest.approx(0.64, abs=0.01)
    assert compound["accuracy_low"] < 0.72 < compound["accuracy_high"]
    assert "between what was measured" in next(prediction_lines([compound]))


def test_beyond_what_was_measured_is_said_and_much_beyond_refused(laws: Laws) -> None:
    assert predict(laws, "16x", 1e8)[0]["beyond"]
    for text, where in (("100x", r"beyond 6\.40G"), ("1M", "below 100M")):
        with pytest.raises(UserError, match=f"says nothing {where}"):
            predict(laws, text, 1e8)


def test_flops_for_an_accuracy(laws: Laws) -> None:
    (row,) = for_accuracy(laws, "72%")
    assert row["policy"] == "compound"
    assert row["flops"] == pytest.approx(4e8, rel=0.2)
    assert row["flops_low"] < 4e8
    assert "reaches 72.0 % at" in next(flops_lines([row]))


@pytest.mark.parametrize(
    ("text", "reason"), [("99%", "nothing can be said beyond"), ("30%", "has it at 100M FLOPs already")]
)
def test_what_the_law_does_not_support_is_refused(laws: Laws, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        for_accuracy(laws, text)


@pytest.mark.parametrize(("text", "value"), [("85%", 0.85), ("85", 0.85), ("0.85", 0.85), ("0.5%", 0.005)])
def test_accuracies_as_they_are_written(text: str, value: float) -> None:
    assert parse_accuracy(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "high", "0", "100%", "-3", "nan"])
def test_what_is_no_accuracy_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="such as 85%"):
        parse_accuracy(text)


def test_the_next_doubling_is_told_for_every_policy(laws: Laws) -> None:
    first, second = law_lines(laws)
    assert first.startswith("compound: one doubling more, to 1.60G FLOPs")
    assert second.startswith("depth")


@pytest.mark.parametrize(
    ("phis", "ratios", "flops"),
    [
        ([0.0, -1.0, -2.0], [1.0, 0.5, 0.25], 4e8),  # shrunk: the base is the largest
        ([2.0, 3.0], [4.0, 8.0], 4e8),  # without the base
    ],
)
def test_factors_are_on_the_base_and_not_on_the_smallest_network(
    phis: list[float], ratios: list[float], flops: float
) -> None:
    curve = pd.DataFrame({"phi": phis, "flops": [4e8 * r for r in ratios], "flops_ratio": ratios})
    assert Scaling(None, curve, pd.DataFrame()).base_flops == flops


def test_the_same_is_there_as_plain_data(laws: Laws) -> None:
    rows = {row["policy"]: row for row in law_rows(laws)}
    assert rows.keys() == laws.keys()
    for policy, law in laws.items():
        assert ("reason" in rows[policy]) == isinstance(law, NoLaw)
        if not isinstance(law, NoLaw):
            assert rows[policy]["accuracy_low"] < rows[policy]["accuracy"] < rows[policy]["accuracy_high"]
