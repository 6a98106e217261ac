"""A search space fitted into a time."""

from __future__ import annotations

from dataclasses import replace

from scaler.search.space import Space

#: Fewer training images than this cannot train anything; a shorter time budget takes seeds and epochs.
FEWEST_IMAGES = 500


def fit_images(space: Space, seconds: float, *, available: int, wanted: float) -> Space:
    """The space with as many training images as a time budget allows, and fewer seeds if that is not enough.

    Args:
        space: what was planned.
        seconds: what the plan would take.
        available: training images there are.
        wanted: the time budget, in seconds.
    """
    current = min(space.recipe.images or available, available)
    images = min(int(current * wanted / seconds), available)
    if images >= FEWEST_IMAGES:
        return space.override(recipe=_recipe(space, images))
    share = images / FEWEST_IMAGES
    seeds = max(1, int(space.seeds * share))
    kept = max(1, round(len(space.rungs) * min(1.0, share * space.seeds / seeds)))
    rungs = space.rungs[:kept]
    recipe = {**_recipe(space, FEWEST_IMAGES), "epochs": rungs[-1]}
    return space.override(recipe=recipe, seeds=seeds, rungs=rungs)


def _recipe(space: Space, images: int) -> dict[str, object]:
    return vars(replace(space.recipe, images=images)).copy()
