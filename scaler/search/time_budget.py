"""A search space fitted into a time: what costs least signal is cut first."""

from __future__ import annotations

from dataclasses import replace

from scaler.search.space import Space

#: Images are cut to no fewer than this, and than this of each class.
FEWEST_IMAGES, FEWEST_OF_A_CLASS = 500, 32
#: What a strategy spends is cut to no fewer trainings at the budget than this.
FEWEST_TRAININGS = 4
#: More time goes to trainings up to this part of exhaustive's FLOPs, and then to images.
ENOUGH = 0.3


def fit_time(
    space: Space, seconds: float, *, available: int, classes: int, candidates: int, wanted: float
) -> Space:
    """The space that takes a wanted time.

    Fewer trainings cost least: every one tells a little less than the one before. Then fewer images, down to
    where networks would learn too little; then seeds, where all of them are trained, and epochs. More time
    goes the same way.

    Args:
        space: what was planned.
        seconds: what the plan would take.
        available: training images there are, of so many ``classes``.
        candidates: of the search.
        wanted: the time budget, in seconds.
    """
    space, share = _fewer_trainings(space, wanted / seconds, candidates)
    least = max(FEWEST_IMAGES, FEWEST_OF_A_CLASS * classes)
    # A part of exhaustive search's FLOPs is of all seeds: with fewer of them it would be fewer trainings.
    seeds = space.seeds if "@" in space.strategy else 1
    return fit_images(space, 1.0, available=available, wanted=share, least=least, least_seeds=seeds)


def fit_images(
    space: Space,
    seconds: float,
    *,
    available: int,
    wanted: float,
    least: int = FEWEST_IMAGES,
    least_seeds: int = 1,
) -> Space:
    """The space with as many images as a time allows, at least ``least``; then fewer seeds and epochs."""
    share = wanted / seconds
    current = min(space.recipe.images or available, available)
    least = min(least, current)
    images = _whole_batches(min(int(current * share), available), available, space.recipe.batch_size)
    if images >= least:
        return space.override(recipe=_recipe(space, images))
    left = images / least
    seeds = max(least_seeds, int(space.seeds * left))
    kept = max(1, round(len(space.rungs) * min(1.0, left * space.seeds / seeds)))
    rungs = space.rungs[:kept]
    return space.override(recipe={**_recipe(space, least), "epochs": rungs[-1]}, seeds=seeds, rungs=rungs)


def _whole_batches(images: int, available: int, batch: int) -> int:
    """As many of some images as an epoch sees: it leaves a last, smaller one out unless it is alone."""
    return images if images in (available, images % batch) else images - images % batch


def _fewer_trainings(space: Space, share: float, candidates: int) -> tuple[Space, float]:
    """The space with another budget fraction, and the share of time that images have to make up for."""
    name, at, text = space.strategy.partition("@")
    if not at:
        return space, share
    now = float(text)
    least = min(now, FEWEST_TRAININGS / (candidates * space.seeds))
    fraction = min(max(now * share, least), max(now, ENOUGH))
    return space.override(strategy=f"{name}@{fraction:.3g}"), share * now / fraction


def _recipe(space: Space, images: int) -> dict[str, object]:
    return vars(replace(space.recipe, images=images)).copy()
