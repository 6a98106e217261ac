"""Pareto fronts against brute force, and what can be asked for."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.curves.pareto import Objective, front, parse_objectives, resolve
from scaler.errors import UserError

ACCURACY = Objective("accuracy", maximised=True)
FLOPS = Objective("flops")


def on_front(
    rows: list[tuple[float, float]], objectives: Sequence[Objective] = (ACCURACY, FLOPS)
) -> list[bool]:
    return list(front(pd.DataFrame(rows, columns=["accuracy", "flops"]), objectives))


def test_a_network_that_is_dearer_and_worse_is_beaten() -> None:
    assert on_front([(0.7, 10), (0.8, 20), (0.75, 30)]) == [True, True, False]


def test_equal_networks_are_both_on_the_front() -> None:
    assert on_front([(0.7, 10), (0.7, 10), (0.6, 10)]) == [True, True, False]


def test_a_missing_value_is_never_on_the_front_and_beats_nothing() -> None:
    assert on_front([(float("nan"), 1), (0.7, 10)]) == [False, True]


def test_no_rows_have_no_front() -> None:
    assert on_front([]) == []


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 3.0, float("nan")])] * 3), max_size=14),
    signs=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_the_front_is_what_brute_force_finds(
    rows: list[tuple[float, float, float]], signs: tuple[bool, bool, bool]
) -> None:
    objectives = [Objective(name, maximised) for name, maximised in zip("abc", signs, strict=True)]

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        pairs = [(x, y) if up else (-x, -y) for x, y, up in zip(one, other, signs, strict=True)]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    expected = [
        not any(np.isnan(row)) and not any(beats(other, row) for other in rows if not any(np.isnan(other)))
        for row in rows
    ]
    frame = pd.DataFrame(rows, columns=list("abc"), dtype=float)
    assert front(frame, objectives).tolist() == expected


def test_accuracy_is_maximised_and_costs_are_minimised() -> None:
    assert parse_objectives("accuracy, params,accuracy") == (ACCURACY, Objective("params"))


@pytest.mark.parametrize("text", ["", " , ", "accuracy,speed"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="objective"):
        parse_objectives(text)


def test_a_cost_is_found_under_its_unit_and_a_missing_one_names_what_there_is() -> None:
    frame = pd.DataFrame({"accuracy": [0.5], "accuracy_stderr": [0.1], "flops": [1], "latency_ms": [3.0]})
    assert resolve(parse_objectives("accuracy,latency"), frame, "results/a") == (
        ACCURACY,
        Objective("latency_ms"),
    )
    with pytest.raises(UserError, match=r"results/a has no column.*'memory'.*accuracy, flops, latency_ms"):
        resolve(parse_objectives("accuracy,memory"), frame, "results/a")


def test_accuracies_are_better_only_beyond_their_standard_errors() -> None:
    rows = pd.DataFrame(
        {"accuracy": [0.70, 0.68, 0.65], "flops": [1, 2, 3], "accuracy_stderr": [0.01, 0.01, 0.01]}
    )
    # 2 points are 1.4 and 5 points 3.5 standard errors of the difference (0.0141).
    assert front(rows, (ACCURACY, FLOPS)).tolist() == [True, True, False]
    assert front(rows, (ACCURACY, FLOPS), strict=True).tolist() == [True, False, False]
    certain = rows.assign(accuracy_stderr=float("nan"))
    assert front(certain, (ACCURACY, FLOPS)).tolist() == [True, False, False]


@pytest.mark.parametrize("text", ["accuracy", "flops,flops"])
def test_one_objective_is_no_front(text: str) -> None:
    with pytest.raises(UserError, match="two or more"):
        parse_objectives(text)
