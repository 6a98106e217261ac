"""Time budgets cut what costs least signal, and never more than they must."""

import pytest

from scaler.search.space import Space, read_space
from scaler.search.time_budget import FEWEST_OF_A_CLASS, FEWEST_TRAININGS, fit_time

QUICK = read_space("quick").override(strategy="law@0.1")
EXHAUSTIVE = QUICK.override(strategy="exhaustive")


def fitted(space: Space, share: float, available: int = 100_000, classes: int = 10) -> Space:
    """The space for ``share`` times the time that it would take."""
    return fit_time(space, 600, available=available, classes=classes, candidates=16, wanted=600 * share)


def fraction(space: Space) -> float:
    return float(space.strategy.partition("@")[2])


def test_half_the_time_takes_half_the_trainings() -> None:
    half = fitted(QUICK, 0.7)
    assert fraction(half) == pytest.approx(0.7 * fraction(QUICK))
    assert (half.recipe, half.seeds, half.rungs) == (QUICK.recipe, QUICK.seeds, QUICK.rungs)


def test_then_images_and_never_so_few_that_nothing_is_learnt() -> None:
    short = fitted(QUICK, 0.3, classes=20)
    assert fraction(short) * 16 * QUICK.seeds == pytest.approx(FEWEST_TRAININGS, rel=0.01)
    assert FEWEST_OF_A_CLASS * 20 <= short.recipe.images < QUICK.recipe.images


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_never_so_few_trainings_that_nothing_is_told(share: float) -> None:
    short = fitted(QUICK, share, classes=64)
    assert fraction(short) * 16 * short.seeds == pytest.approx(FEWEST_TRAININGS, rel=0.01)
    assert short.recipe.images >= FEWEST_OF_A_CLASS * 64


def test_more_time_goes_to_trainings_and_then_to_the_images_there_are() -> None:
    assert fraction(fitted(QUICK, 2)) == pytest.approx(2 * fraction(QUICK))
    assert fitted(QUICK, 2).recipe.images == QUICK.recipe.images
    assert fitted(QUICK, 100, available=4000).recipe.images == 4000


@pytest.mark.parametrize("share", [0.31, 0.47, 0.83, 1.27])
def test_images_are_those_that_an_epoch_sees(share: float) -> None:
    images = fitted(EXHAUSTIVE, share).recipe.images
    assert images % QUICK.recipe.batch_size == 0
    assert 0 <= QUICK.recipe.images * share - images < QUICK.recipe.batch_size


def test_a_strategy_without_a_fraction_takes_images_first() -> None:
    half = fitted(EXHAUSTIVE, 0.5)
    assert half.recipe.images == QUICK.recipe.images // 2
    assert (half.seeds, half.rungs) == (QUICK.seeds, QUICK.rungs)


def test_a_tiny_time_budget_takes_seeds_and_epochs_too() -> None:
    least = fitted(EXHAUSTIVE, 0.005)
    assert least.seeds == 1
    assert least.rungs[-1] == least.recipe.epochs < QUICK.recipe.epochs


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 1.0, 1.5, 4.0])
def test_the_work_of_a_fitted_space_is_what_was_wanted(share: float) -> None:
    """Trainings times images times epochs; tiny budgets may end above, where nothing is left to cut."""
    space = fitted(QUICK, share)
    work = fraction(space) * space.recipe.images * space.recipe.epochs * space.seeds
    before = fraction(QUICK) * QUICK.recipe.images * QUICK.recipe.epochs * QUICK.seeds
    assert work / before == pytest.approx(share, rel=0.05) or share < 0.1
