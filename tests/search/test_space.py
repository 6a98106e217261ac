"""Search spaces: what their values may be."""

import pytest

from scaler.errors import UserError
from scaler.scaling.shares import Exponents
from scaler.search.candidates.grid import grid_points
from scaler.search.space import Grid, read_space

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


@pytest.mark.parametrize(
    ("bounds", "step", "values"),
    [
        ([1, 1.26], 0.1, [1, 1.1, 1.2]),
        ([1, 1.25], 0.1, [1, 1.1, 1.2]),
        ([1, 1.3], 0.1, [1, 1.1, 1.2, 1.3]),
        ([1.9, 2.1], 0.01, [1.9 + 0.01 * i for i in range(21)]),
        ([1, 1.4], 0.7, [1]),
    ],
)
def test_no_point_of_a_grid_lies_beyond_its_bounds(
    bounds: list[float], step: float, values: list[float]
) -> None:
    grid = Grid.model_validate({"alpha": bounds, "beta": [2, 2], "gamma": [1, 1], "step": step})
    made = [point for point in grid_points(grid, 2.0, Exponents(1, 2, 2)) if not point.on_direction]
    assert [point.target.alpha for point in made] == pytest.approx(values)
    assert grid.points == len(values)
