"""The one-cycle learning rate, as a function of the step alone; no torch."""

from __future__ import annotations

import math

from scaler.training.recipe import Recipe

#: The batch size that SGD's ``Recipe.learning_rate`` is meant for.
REFERENCE_BATCH = 128

#: Epochs over which weights are averaged at the peak learning rate.
AVERAGED_EPOCHS = 1.0


def peak(recipe: Recipe) -> float:
    """The highest learning rate: the recipe's; SGD's grows linearly with the batch (Goyal et al. 2017)."""
    scale = recipe.batch_size / REFERENCE_BATCH if recipe.optimiser == "sgd" else 1.0
    return recipe.learning_rate * scale


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of a step, ``0 <= step < steps``: linear warm-up, then half a cosine to nearly zero.

    It depends on nothing but the step, so a training that goes on is a training that never stopped.
    """
    rising = max(1, math.ceil(recipe.warmup * steps))
    if step < rising:
        return peak(recipe) * (step + 1) / rising
    return peak(recipe) * 0.5 * (1 + math.cos(math.pi * (step + 1 - rising) / (steps + 1 - rising)))


def averaging(recipe: Recipe, rate: float, steps_per_epoch: int) -> float:
    """Share of the new weights in the average that is evaluated, at a step of this learning rate.

    The average reaches back over :data:`AVERAGED_EPOCHS` where the rate is at its peak and the weights
    scatter, and over less as the rate falls, so that a full training ends in its last weights. Averages
    of weights along a training: Izmailov et al. 2018, arXiv 1803.05407.
    """
    return 1 / (1 + AVERAGED_EPOCHS * steps_per_epoch * rate / peak(recipe))
