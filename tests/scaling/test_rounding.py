import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.scaling.rounding import OFFICIAL, Rounding, round_to, spread

depths = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(depths, st.integers(1, 200))
def test_spread_keeps_the_total_and_every_stage(base: list[int], total: int) -> None:
    found = spread(base, total)
    assert sum(found) == max(total, len(base))
    assert min(found) >= 1


@given(depths)
def test_spread_of_the_same_total_changes_nothing(base: list[int]) -> None:
    assert spread(base, sum(base)) == tuple(base)


@given(depths, st.integers(1, 100))
def test_one_layer_more_takes_from_at_most_one_stage(base: list[int], total: int) -> None:
    before, after = spread(base, total + len(base)), spread(base, total + len(base) + 1)
    # Largest remainder may move a layer between stages (the Alabama paradox), never more than one.
    assert all(abs(b - a) <= 1 for a, b in zip(before, after, strict=True))


@given(st.floats(1, 5000), st.sampled_from([1, 2, 4, 8, 16]))
def test_round_to_is_a_near_multiple_and_never_far_down(value: float, divisor: int) -> None:
    found = round_to(value, divisor)
    assert found % divisor == 0
    assert found >= 0.9 * value
    assert found <= value + divisor


def test_official_channels() -> None:
    # tensorflow/tpu efficientnet_builder.round_filters at the width coefficients of B2 and B4.
    assert [OFFICIAL.channels(w, 1.1) for w in (32, 16, 24, 40, 80, 112, 192, 320, 1280)] == [
        32, 16, 24, 48, 88, 120, 208, 352, 1408,
    ]  # fmt: skip
    assert [OFFICIAL.channels(w, 1.4) for w in (32, 16, 24, 40, 80, 112, 192, 320, 1280)] == [
        48, 24, 32, 56, 112, 160, 272, 448, 1792,
    ]  # fmt: skip


def test_official_depths_are_ceilings_free_of_floating_point() -> None:
    # 3.1 * 10 is 31.000000000000004 in floating point.
    assert OFFICIAL.depths([10], 3.1) == (31,)
    assert OFFICIAL.depths([1, 2, 2, 3, 3, 4, 1], 1.2) == (2, 3, 3, 4, 4, 5, 2)
    assert OFFICIAL.depths([1, 2, 2, 3, 3, 4, 1], 1.1) == (2, 3, 3, 4, 4, 5, 2)


def test_search_rule_tells_depths_apart_that_ceil_does_not() -> None:
    rule = Rounding()
    found = {rule.depths([1, 2, 2, 3, 3, 4, 1], 1 + i / 16) for i in range(17)}
    assert len(found) == 17


@pytest.mark.parametrize("rule", [Rounding(), OFFICIAL, Rounding(resolution_step=32)])
def test_a_multiplier_of_one_changes_nothing(rule: Rounding) -> None:
    assert rule.channels(12, 1.0) == 12
    assert rule.pixels(299, 1.0) == 299
    assert rule.depths([3, 4, 6, 3], 1.0) == (3, 4, 6, 3)


def test_pixels_go_to_the_nearest_step() -> None:
    assert Rounding(resolution_step=32).pixels(224, 1.15) == 256
    assert Rounding().pixels(224, 1.15) == 258
