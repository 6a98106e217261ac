import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.training.recipe import Recipe
from scaler.training.schedule import averaging, learning_rate, peak


@settings(max_examples=50)
@given(steps=st.integers(1, 300), warmup=st.floats(0, 1))
def test_rises_to_the_peak_once_and_falls(steps: int, warmup: float) -> None:
    recipe = Recipe(warmup=warmup, learning_rate=0.5, batch_size=128)
    rates = [learning_rate(recipe, step, steps) for step in range(steps)]
    top = rates.index(max(rates))
    assert rates[top] == pytest.approx(0.5)
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a > b for a, b in pairwise(rates[top:]))
    assert min(rates) > 0


def test_landmarks() -> None:
    recipe = Recipe(warmup=0.25, learning_rate=0.4, batch_size=128)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.4 / 25)
    assert rates[24] == pytest.approx(0.4)
    assert rates[62] == pytest.approx(0.2)  # half-way down: 38 of 76 parts
    assert rates[99] < 0.4 / 1000


def test_grows_linearly_with_the_batch() -> None:
    assert peak(Recipe(batch_size=64, learning_rate=0.4)) == pytest.approx(0.2)
    assert peak(Recipe(batch_size=512, learning_rate=0.4)) == pytest.approx(1.6)


def test_the_average_reaches_back_an_epoch_at_the_peak_and_nowhere_at_the_end() -> None:
    """With a constant share, a step's weight fades to 1/e over as many steps as the average reaches back."""
    recipe, steps = Recipe(learning_rate=0.4), 50
    rates = [learning_rate(recipe, step, 4 * steps) for step in range(4 * steps)]
    shares = [averaging(recipe, rate, steps) for rate in rates]
    fade = 1 - shares[rates.index(max(rates))]
    assert fade**steps == pytest.approx(math.exp(-1), rel=0.02)
    assert shares[-1] > 0.9
    assert all(0 < share < 1 for share in shares)
