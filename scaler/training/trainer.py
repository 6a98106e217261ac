"""The one trainer: from a spec, a recipe, data and seeds to evaluations."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaler.cost.network_cost import cost
from scaler.data.batches import Batches, Normalisation, normalisation, subset
from scaler.data.dataset import DataSet, Part, PartName
from scaler.networks.build import Network, build
from scaler.networks.kernels import folded
from scaler.networks.spec import NetworkSpec
from scaler.seeds import derive
from scaler.training import checkpoint as files
from scaler.training.checkpoint import Checkpoint
from scaler.training.device import Device, keep_memory
from scaler.training.distributed import ALONE, Group
from scaler.training.optimiser import Descent
from scaler.training.recipe import Evaluation, Recipe, TrainingSeeds, training_flops
from scaler.training.schedule import averaging, learning_rate

#: Images per batch of an evaluation, and the seed of its subset: the same images for all trainings.
EVALUATION_BATCH = 256
EVALUATION_SUBSET = 0

#: Training images on which the norms' means and variances are measured before an evaluation.
STATISTICS_IMAGES = 1024

#: Gradients are scaled down to this norm: a spike in a short, steep warm-up must not end a training.
GRADIENT_NORM = 5.0

#: A batch that memory has no room for is halved down to this many images; norms whose statistics are those of
#: fewer cost accuracy (Wu & He 2018, arXiv 1803.08494, figure 1).
LEAST_MICRO_BATCH = 8


def train(
    spec: NetworkSpec,
    recipe: Recipe,
    data: DataSet,
    seeds: TrainingSeeds,
    *,
    stops: Sequence[int],
    device: Device,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int], None] | None = None,
    group: Group = ALONE,
) -> list[Evaluation]:
    """Train a network, or go on where its checkpoint stands, and evaluate it on validation images.

    The schedule is laid out for ``recipe.epochs`` whatever the stops, and all randomness derives from
    the seeds and the epoch: a training that stops and goes on, in this process or another, is to the
    last bit the one that never stopped.

    Args:
        spec: the network; :func:`prepared` fits it to the data and the recipe.
        recipe: how it is trained.
        data: whose ``train`` part it sees, and on whose ``validation`` part it is evaluated.
        seeds: of the weights, and of the images' subset, order and augmentation.
        stops: epochs at which it is evaluated, ascending, each in ``1..recipe.epochs``; the last
            is where the training stops.
        device: where it runs.
        checkpoint: file to go on from if it is one of this training, written after every epoch. A damaged
            one, or another training's, is passed over.
        on_epoch: called after every epoch, once its checkpoint is written, with the epochs done.
        group: the processes that train it together, of which the first writes and tells.

    Returns:
        One evaluation for each stop. From where a training diverges, or is too large for the memory, they
        all are the one that says so.

    Raises:
        MachineError: the checkpoint cannot be written.
        UserError: a batch has no equal parts for the processes.
    """
    training = Training(spec, recipe, data, seeds, device, group)
    saved = files.load_if_whole(checkpoint) if checkpoint is not None else None
    if saved is not None:
        training.resume(saved, stops)
    for stop in stops:
        while training.passed(stop) is None:
            if training.epochs < stop and not training.ended:
                training.epoch()
            if training.epochs == stop or training.ended:
                training.evaluate()
            if checkpoint is not None and group.leads:
                files.save(training.checkpoint(), checkpoint)
            if on_epoch is not None and group.leads:
                on_epoch(training.epochs)
    return [evaluation for stop in stops if (evaluation := training.passed(stop)) is not None]


def prepared(spec: NetworkSpec, recipe: Recipe, data: DataSet) -> NetworkSpec:
    """The network that is trained: with the data's classes, and no dropout unless the recipe keeps it."""
    spec = spec.with_classes(len(data.classes))
    return spec if recipe.regularise else spec.without_regularisation()


def fresh(spec: NetworkSpec, seed: int) -> Network:
    """A network with weights drawn from ``seed``, made for a short training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(spec, short_training=True)


def trained(spec: NetworkSpec, recipe: Recipe, data: DataSet, checkpoint: Path) -> Network:
    """The network of a training's checkpoint as it was evaluated, on the CPU and in eval mode.

    Raises:
        MachineError: the checkpoint cannot be read.
    """
    network = build(prepared(spec, recipe, data))
    network.load_state_dict(files.load(checkpoint).averaged)
    return network.eval()


def evaluate(
    network: nn.Module, data: DataSet, part: PartName, resolution: int, device: Device, images: int = 0
) -> tuple[float, float]:
    """Accuracy in [0, 1] and mean cross-entropy in nats on a part of the data.

    Args:
        network: is put in eval mode.
        data: the data set.
        part: its part.
        resolution: of the images, in pixels.
        device: where the network is.
        images: how many, drawn evenly from the classes; 0 is all.
    """
    normalise = normalisation(data.part("train", resolution))
    return _evaluate(network, _evaluated(data.part(part, resolution), images, normalise, device), device)


def _evaluated(
    part: Part, images: int, normalise: Normalisation, device: Device, group: Group = ALONE
) -> Batches:
    rows = subset(part.labels, images, EVALUATION_SUBSET)[group.part]
    return Batches(part, EVALUATION_BATCH, normalise, device.torch, rows)


def measure_statistics(network: nn.Module, batches: Batches, device: Device) -> None:
    """Set the running means and variances of all norms to the averages over some images.

    In a short training the running averages lag far behind the weights (or, with EfficientNet's momentum
    of 0.01, are still mostly their initial values), and an evaluation half-way is near chance. Training
    never reads them, so this changes nothing else. (Wu & Johnson 2021, arXiv 2105.07576, section 3.)
    """
    network.eval()
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # a plain average
    with torch.no_grad():
        for images, _ in batches.evaluation():
            with device.autocast():
                network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _evaluate(
    network: nn.Module, batches: Batches, device: Device, group: Group = ALONE
) -> tuple[float, float]:
    network.eval()
    if device.name == "cpu" and isinstance(network, Network) and network.spec.stages:
        network = folded(network)
    right, loss, count = 0, 0.0, 0
    with torch.inference_mode():
        for images, labels in batches.evaluation():
            with device.autocast():
                scores = network(images)
            scores = scores.float()
            right += int((scores.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
            count += len(labels)
    sums = torch.tensor([right, loss, count], dtype=torch.float64, device=device.torch)
    right, loss, count = group.total(sums).tolist()
    return right / count, loss / count


def step(
    network: nn.Module,
    descent: Descent,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    device: Device,
) -> Tensor:
    """One training step on a batch; the loss before it."""
    loss = gradients(network, images, labels, recipe, device)
    descend(network, descent)
    return loss


def gradients(
    network: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, device: Device, parts: int = 1
) -> Tensor:
    """Add a batch's gradients to the network's, from one of so many parts after the other; the loss."""
    total = torch.zeros((), device=device.torch)
    for some, targets in zip(images.chunk(parts), labels.chunk(parts), strict=True):
        with device.autocast():
            scores = network(some)
        loss = functional.cross_entropy(scores.float(), targets, label_smoothing=recipe.label_smoothing)
        loss = loss * (len(targets) / len(labels))
        torch.autograd.backward(loss)
        total += loss.detach()
    return total


def descend(network: nn.Module, descent: Descent) -> None:
    """One step of the optimiser by the gradients that are there."""
    nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM, foreach=True)
    descent.step()
    descent.zero_grad()


class Training:
    """A training in progress; :func:`train` drives it from stop to stop."""

    def __init__(
        self,
        spec: NetworkSpec,
        recipe: Recipe,
        data: DataSet,
        seeds: TrainingSeeds,
        device: Device,
        group: Group = ALONE,
    ) -> None:
        self.spec = prepared(spec, recipe, data)
        self.recipe, self.seeds, self.device, self.group = recipe, seeds, device, group
        self.name = _fingerprint(self.spec, recipe, data, seeds)
        keep_memory()
        self.network = device.place(fresh(self.spec, seeds.weights))
        self.averaged = copy.deepcopy(self.network)
        self.parallel = group.parallel(self.network, device)
        self.optimiser = Descent(self.network, recipe)
        part = data.part("train", self.spec.resolution)
        rows = subset(part.labels, recipe.images, derive(seeds.order, "subset"))
        normalise = normalisation(part)
        self.batches = Batches(part, recipe.batch_size, normalise, device.torch, rows)
        group.check(min(len(rows), recipe.batch_size))
        self.statistics = _evaluated(part, STATISTICS_IMAGES, normalise, device)
        validation = data.part("validation", self.spec.resolution)
        self.validation = _evaluated(validation, recipe.validation_images, normalise, device, group)
        self.epochs, self.images, self.seconds = 0, 0, 0.0
        self.parts = 1
        self.diverged = self.too_large = False
        self.evaluations: list[Evaluation] = []

    @property
    def ended(self) -> bool:
        """Whether it cannot go on."""
        return self.diverged or self.too_large

    def passed(self, stop: int) -> Evaluation | None:
        """The evaluation that stands for a stop, if the training has come so far."""
        for evaluation in self.evaluations:
            if evaluation.epochs == stop or (evaluation.ended and evaluation.epochs < stop):
                return evaluation
        return None

    def epoch(self) -> None:
        """One pass over the training images, as far as memory suffices."""
        started = time.perf_counter()
        self.network.train()
        seed = derive(self.seeds.weights, "dropout", self.epochs) + self.group.rank
        with torch.random.fork_rng(devices=self.device.indices):
            torch.manual_seed(seed)
            try:
                total = self._steps()
            except torch.OutOfMemoryError:
                self.too_large = True
            else:
                self.epochs += 1
                self.diverged = not math.isfinite(float(self.group.total(total)))
        self.seconds += time.perf_counter() - started

    def _steps(self) -> Tensor:
        """The steps of an epoch; the sum of the losses before them."""
        steps = len(self.batches)
        total = torch.zeros((), device=self.device.torch)
        for index, (images, labels) in enumerate(self._batches()):
            rate = learning_rate(self.recipe, self.epochs * steps + index, self.recipe.epochs * steps)
            self.optimiser.rate = rate
            total += self._gradients(images, labels)
            descend(self.network, self.optimiser)
            self._average(averaging(self.recipe, rate, steps))
            self.images += len(labels) * self.group.size
        return total

    def _gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradients of a batch; where memory is too short for its parts, of parts half as large.

        Raises:
            torch.OutOfMemoryError: it is too short for the smallest, or for a process's part among others,
                which wait for it.
        """
        while True:
            try:
                return gradients(self.parallel, images, labels, self.recipe, self.device, self.parts)
            except torch.OutOfMemoryError:
                if self.group.size > 1 or len(labels) // (2 * self.parts) < LEAST_MICRO_BATCH:
                    raise
            self.parts *= 2
            self.optimiser.zero_grad()
            torch.cuda.empty_cache()

    def _average(self, share: float) -> None:
        """Move the averaged weights towards those just reached, by this share of the way."""
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), share)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        recipe = self.recipe
        return self.batches.epoch(
            self.seeds.order, self.epochs, flip=recipe.flip, shift=recipe.shift, part=self.group.part
        )

    def evaluate(self) -> None:
        """Evaluate on the validation part and keep the result."""
        started = time.perf_counter()
        accuracy, loss = 0.0, math.nan
        if not self.ended:
            try:
                measure_statistics(self.averaged, self.statistics, self.device)
                accuracy, loss = _evaluate(self.averaged, self.validation, self.device, self.group)
            except torch.OutOfMemoryError:
                self.too_large = True
        self.diverged = not self.too_large and not math.isfinite(loss)
        self.seconds += time.perf_counter() - started
        self.evaluations.append(
            Evaluation(
                epochs=self.epochs,
                images=self.images,
                train_flops=training_flops(cost(self.spec).flops, self.images),
                accuracy=0.0 if self.ended else accuracy,
                loss=math.nan if self.ended else loss,
                seconds=self.seconds,
                diverged=self.diverged,
                micro_batch=-(-self.batches.batch_size // self.parts) if self.parts > 1 else 0,
                too_large=self.too_large,
            )
        )

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on."""
        return Checkpoint(
            training=self.name,
            epochs=self.epochs,
            images=self.images,
            seconds=self.seconds,
            network=self.network.state_dict(),
            averaged=self.averaged.state_dict(),
            optimiser=self.optimiser.state_dict(),
            evaluations=tuple(self.evaluations),
            parts=self.parts,
        )

    def resume(self, saved: Checkpoint, stops: Sequence[int]) -> None:
        """Go on from a checkpoint; one of another training, or one that ran past a stop, is of no use."""
        known = {evaluation.epochs for evaluation in saved.evaluations}
        diverged = any(evaluation.diverged for evaluation in saved.evaluations)
        too_large = any(evaluation.too_large for evaluation in saved.evaluations)
        ended = diverged or too_large
        missed = any(stop <= saved.epochs and stop not in known for stop in stops) and not ended
        if saved.training != self.name or missed:
            return
        self.network.load_state_dict(saved.network)
        self.averaged.load_state_dict(saved.averaged)
        self.optimiser.load_state_dict(saved.optimiser)
        self.epochs, self.images, self.seconds = saved.epochs, saved.images, saved.seconds
        self.evaluations, self.parts = list(saved.evaluations), saved.parts
        self.diverged, self.too_large = diverged, too_large


def _fingerprint(spec: NetworkSpec, recipe: Recipe, data: DataSet, seeds: TrainingSeeds) -> str:
    return hashlib.sha256(repr((spec, recipe, data.fingerprint, seeds)).encode()).hexdigest()
