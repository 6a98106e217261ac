"""How a network is trained, as data. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from scaler.checked import Number, Whole

#: Bounds that no training on one machine comes near to.
MOST_EPOCHS, MOST_IMAGES, LARGEST_BATCH = 10_000, 1_000_000_000, 16_384
#: Muon's steps are as long as its rate: ten times the usual .03 leave nothing of a layer's weights.
LARGEST_MUON_RATE = 0.3

_Part = Annotated[Number, Field(ge=0, lt=1)]
_Images = Annotated[Whole, Field(ge=0, le=MOST_IMAGES)]


@dataclass(frozen=True)
class Recipe:
    """A short training; the same for every candidate of a search.

    Attributes:
        epochs: passes over the training images; the one-cycle schedule is laid out for all of them.
        images: training images used (drawn evenly from the classes); 0 is all there are.
        batch_size: images per step.
        optimiser: ``sgd``, or ``muon``, whose steps are as long as the learning rate in layers of all sizes.
        learning_rate: peak of the one-cycle schedule; SGD's is for a batch of 128 (scaled linearly with it).
        warmup: part of the steps before the peak.
        momentum: Nesterov momentum.
        weight_decay: on weights of convolutions and linear layers only.
        label_smoothing: part of the target spread over all classes.
        flip: mirror half of the images.
        shift: largest shift of the random crop, as a part of the resolution.
        validation_images: images on which candidates are compared; 0 is all of the validation part.
        regularise: keep the network's dropout and stochastic depth. Short trainings need neither, and
            they favour some sizes over others.
    """

    epochs: Annotated[Whole, Field(ge=1, le=MOST_EPOCHS)] = 4
    images: _Images = 0
    batch_size: Annotated[Whole, Field(ge=1, le=LARGEST_BATCH)] = 64
    optimiser: Literal["sgd", "muon"] = "sgd"
    learning_rate: Annotated[Number, Field(gt=0, le=1000)] = 0.4
    warmup: _Part = 0.25
    momentum: _Part = 0.9
    weight_decay: _Part = 5e-4
    label_smoothing: _Part = 0.1
    flip: bool = True
    shift: Annotated[Number, Field(ge=0, le=0.5)] = 0.125
    validation_images: _Images = 0
    regularise: bool = False


@dataclass(frozen=True)
class TrainingSeeds:
    """Where the randomness of one training comes from.

    Candidates of the same seed_index share ``order`` (subset, order, augmentation), so that they are
    compared on the same images in the same order; ``weights`` is each training's own.
    """

    weights: int
    order: int


@dataclass(frozen=True)
class Evaluation:
    """A network's state after some epochs; counts are from the start of its training.

    Attributes:
        epochs: epochs done.
        images: training images seen.
        train_flops: FLOPs spent on training, counted as 3 forward passes per image (forward, and
            backward at twice its cost); evaluation not counted.
        accuracy: part of the images classified right, in [0, 1].
        loss: mean cross-entropy without smoothing, in nats; NaN where the training diverged.
        seconds: time spent training and evaluating.
        diverged: the loss became infinite or NaN; the training stopped there.
        micro_batch: images that went through the network at a time, where memory was too short for the
            recipe's batch: gradients are still those of a whole one, the norms' statistics are these images'.
            0 is the whole batch.
        too_large: memory was too short for the smallest micro-batch; the training stopped there.
    """

    epochs: int
    images: int
    train_flops: int
    accuracy: float
    loss: float
    seconds: float
    diverged: bool = False
    micro_batch: int = 0
    too_large: bool = False

    @property
    def ended(self) -> bool:
        """Whether the training stopped there for good, short of its last epoch."""
        return self.diverged or self.too_large


#: A training step costs a forward pass, and a backward pass of twice its FLOPs.
PASSES = 3


def training_flops(flops: int, images: int) -> int:
    """FLOPs of training on so many images with a network of so many FLOPs; evaluation not counted."""
    return PASSES * flops * images
