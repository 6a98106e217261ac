"""The one trainer: from a spec, a recipe, data and seeds to evaluations."""

from __future__ import annotations

import contextlib
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
from scaler.data.batches import Batches, Crops, normalisation, subset
from scaler.data.dataset import DataSet
from scaler.networks.build import Network, build
from scaler.networks.python_network import PythonNetwork
from scaler.networks.spec import NetworkSpec
from scaler.seeds import derive
from scaler.training import checkpoint as files
from scaler.training.checkpoint import Checkpoint
from scaler.training.device import Device, keep_memory
from scaler.training.distributed import ALONE, Group
from scaler.training.evaluation import judge, judged, measure_statistics, measured
from scaler.training.optimiser import Descent, optimiser
from scaler.training.recipe import Evaluation, Recipe, TrainingSeeds, training_flops
from scaler.training.recorded import Recorded
from scaler.training.schedule import averaging, learning_rate

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
        self.optimiser = optimiser(self.network, recipe)
        part = data.part("train", self.spec.resolution)
        rows = subset(part.labels, recipe.images, derive(seeds.order, "subset"))
        normalise = normalisation(part)
        self.batches = Batches(part, recipe.batch_size, normalise, device.torch, rows)
        group.check(min(len(rows), recipe.batch_size))
        self.statistics = measured(part, len(rows), normalise, device)
        validation = data.part("validation", self.spec.resolution)
        self.validation = judged(validation, recipe.validation_images, normalise, device, group)
        launched = group.size == 1 and device.torch.type != "cpu" and self.batches.resident
        self.recorded = Recorded(device.torch) if launched else None
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
        with self._dropout():
            try:
                total = self._steps()
            except torch.OutOfMemoryError:
                self.too_large = True
            else:
                self.epochs += 1
                self.images += self.batches.images
                self.diverged = not math.isfinite(float(self.group.total(total)))
        self.seconds += time.perf_counter() - started

    @contextlib.contextmanager
    def _dropout(self) -> Iterator[None]:
        """The epoch's own randomness for what a network drops; those without dropout draw none.

        What a user's own code draws, nobody knows.
        """
        if not self.recipe.regularise and not isinstance(self.spec, PythonNetwork):
            yield
            return
        with torch.random.fork_rng(devices=self.device.indices):
            torch.manual_seed(derive(self.seeds.weights, "dropout", self.epochs) + self.group.rank)
            yield

    def _steps(self) -> Tensor:
        """The steps of an epoch; the sum of the losses before them."""
        recipe, steps = self.recipe, len(self.batches)
        crops = self.batches.crops(
            self.seeds.order, self.epochs, flip=recipe.flip, shift=recipe.shift, part=self.group.part
        )
        first, last = self.epochs * steps, recipe.epochs * steps
        rates = [learning_rate(recipe, step, last) for step in range(first, first + steps)]
        shares = [averaging(recipe, rate, steps) for rate in rates]
        if self.recorded is not None:
            return self.recorded.epoch(self._step, crops, torch.tensor(rates), torch.tensor(shares))
        total = torch.zeros((), device=self.device.torch)
        for index, (rate, share) in enumerate(zip(rates, shares, strict=True)):
            total += self._step(crops, slice(index, index + 1), rate, share)
        return total

    def _step(
        self, crops: Crops, step: slice | Tensor, rate: float | Tensor, share: float | Tensor
    ) -> Tensor:
        """One step; the loss before it."""
        images, labels = self.batches.cut(crops, step)
        loss = self._gradients(images, labels)
        self.optimiser.rate = rate
        descend(self.network, self.optimiser)
        _approach(self.averaged, self.network, share)
        return loss

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
                recording = self.recorded is not None and self.recorded.recording
                few = len(labels) // (2 * self.parts) < LEAST_MICRO_BATCH
                if self.group.size > 1 or few or recording:
                    raise
            self.parts *= 2
            self.optimiser.zero_grad()
            torch.cuda.empty_cache()

    def evaluate(self) -> None:
        """Evaluate on the validation part and keep the result."""
        started = time.perf_counter()
        accuracy, loss = 0.0, math.nan
        if not self.ended:
            try:
                _copy_buffers(self.averaged, self.network)
                measure_statistics(self.averaged, self.statistics, self.device)
                accuracy, loss = judge(self.averaged, self.validation, self.device, self.group)
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


def _approach(averaged: nn.Module, network: nn.Module, share: float | Tensor) -> None:
    """Move averaged weights towards those just reached, by this share of the way."""
    with torch.no_grad():
        means: list[Tensor] = list(averaged.parameters())
        news: list[Tensor] = list(network.parameters())
        if isinstance(share, float):
            torch._foreach_lerp_(means, news, share)
            return
        ways = torch._foreach_sub(news, means)
        torch._foreach_mul_(ways, share)
        torch._foreach_add_(means, ways)


def _copy_buffers(averaged: nn.Module, network: nn.Module) -> None:
    """Give averaged weights what a network keeps beside its weights; norms are measured anew anyhow."""
    for mean, new in zip(averaged.buffers(), network.buffers(), strict=True):
        mean.copy_(new)


def _fingerprint(spec: NetworkSpec, recipe: Recipe, data: DataSet, seeds: TrainingSeeds) -> str:
    return hashlib.sha256(repr((spec, recipe, data.fingerprint, seeds)).encode()).hexdigest()
