"""The one-cycle learning rate, as a function of the step alone; no torch."""

from __future__ import annotations

import math

from scaler.training.recipe import Recipe

#: The batch size that ``Recipe.learning_rate`` is meant for.
REFERENCE_BATCH = 128


def peak(recipe: Recipe) -> float:
    """The highest learning rate: the recipe's, scaled linearly with the batch (Goyal et al. 2017)."""
    return recipe.learning_rate * recipe.batch_size / REFERENCE_BATCH


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of a step, ``0 <= step < steps``: linear warm-up, then half a cosine to nearly zero.

    It depends on nothing but the step, so a training that goes on is a training that never stopped.
    """
    rising = max(1, math.ceil(recipe.warmup * steps))
    if step < rising:
        return peak(recipe) * (step + 1) / rising
    return peak(recipe) * 0.5 * (1 + math.cos(math.pi * (step + 1 - rising) / (steps + 1 - rising)))
