"""Recorded steps, on a CPU with a stand-in for the recorder, and on a GPU where there is one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.training.device import Device, resolve
from scaler.training.recipe import Recipe, TrainingSeeds
from scaler.training.recorded import WARM_UP, Recorded
from scaler.training.trainer import Training
from tests.training.toy import data_set, network

RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=0.2)
SEEDS = TrainingSeeds(weights=1, order=2)


class Tape:
    """Records a step as what calls it again, and counts both."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1

        def again() -> None:
            self.replayed += 1
            work()

        return again


def training(recorded: Recorded | None = None, device: Device | None = None) -> Training:
    found = Training(network(), RECIPE, data_set(), SEEDS, device or Device())
    if device is None:
        found.recorded = recorded
    return found


def test_steps_that_read_all_from_tables_are_those_taken_one_by_one() -> None:
    tape = Tape()
    plain, taped = training(), training(Recorded(torch.device("cpu"), tape))
    for _ in range(2):
        plain.epoch()
        taped.epoch()
    steps = 2 * len(plain.batches)
    assert (tape.recorded, tape.replayed) == (1, steps - WARM_UP)
    assert taped.images == plain.images
    weights = zip(plain.network.parameters(), taped.network.parameters(), strict=True)
    for one, other in weights:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(plain.averaged.parameters(), taped.averaged.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_without_memory_for_a_recording_steps_are_taken_one_by_one() -> None:
    def short(work: Callable[[], None]) -> Callable[[], None]:
        raise torch.OutOfMemoryError

    plain, taped = training(), training(Recorded(torch.device("cpu"), short))
    plain.epoch()
    taped.epoch()
    assert not taped.too_large
    assert taped.images == plain.images


def test_a_recording_that_runs_short_of_memory_does_not_cut_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def short(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    found = training(Recorded(torch.device("cpu")))
    assert found.recorded is not None
    found.recorded.recording = True
    monkeypatch.setattr("scaler.training.trainer.gradients", short)
    with pytest.raises(torch.OutOfMemoryError):
        found._gradients(torch.zeros(48, 3, 8, 8), torch.zeros(48, dtype=torch.long))
    assert found.parts == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_replayed_steps_train_as_well_as_launched_ones() -> None:
    gpu = Device(resolve("cuda").name, bf16=False)
    launched, replayed = training(device=gpu), training(device=gpu)
    launched.recorded = None
    assert replayed.recorded is not None
    for _ in range(2):
        launched.epoch()
        replayed.epoch()
    assert replayed.recorded._again is not None
    for one, other in zip(launched.network.parameters(), replayed.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    "name", ["effnet-b0", "resnet-20", "densenet-bc-100-12", "googlenet", "se-resnet-50"]
)
def test_every_kind_of_network_can_be_recorded_on_a_gpu(name: str) -> None:
    spec = small(base(name), 32).with_classes(4)
    found = Training(spec, replace(RECIPE, regularise=True), data_set(), SEEDS, resolve("cuda"))
    found.epoch()
    found.evaluate()
    assert found.recorded is not None
    assert found.recorded._again is not None
    assert not found.ended
