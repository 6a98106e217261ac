"""Search spaces: what their values may be."""

import pytest

from scaler.errors import UserError
from scaler.search.space import read_space

BOUNDS = {"alpha": [1, 2], "beta": [1, 2], "gamma": [1, 2]}


@pytest.mark.parametrize("step", [1e-320, 1e-150, 1e-9, 0.0, -0.1, 101.0])
def test_a_step_that_no_grid_has_is_refused(step: float) -> None:
    with pytest.raises(UserError, match=r"grid\.step: input should be (greater|less) than or equal to"):
        read_space("quick").override(grid={**BOUNDS, "step": step})


def test_the_smallest_step_has_too_many_points_between_bounds_and_one_between_equal_ones() -> None:
    with pytest.raises(UserError, match=r"the grid has 1e\+18 points, more than 20,000: take a larger step"):
        read_space("quick").override(grid={**BOUNDS, "step": 1e-6})
    grid = {"alpha": [1, 1], "beta": [1, 1], "gamma": [1, 1], "step": 1e-6}
    assert read_space("quick").override(grid=grid).grid.points == 1


def test_the_points_of_a_rectangular_grid_are_counted() -> None:
    grid = {"alpha": [1, 1.2], "beta": [1, 1.1], "gamma": [1, 1], "step": 0.05}
    assert read_space("quick").override(grid=grid).grid.points == 5 * 3 * 1
