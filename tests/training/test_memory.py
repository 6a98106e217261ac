"""Memory that is too short for a batch, played by a network that refuses more images than its limit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scaler.networks.build import Network
from scaler.training import trainer
from scaler.training.device import Device
from scaler.training.recipe import Evaluation, Recipe, TrainingSeeds
from scaler.training.trainer import gradients, train
from tests.training.toy import data_set, network

RECIPE = Recipe(epochs=3, batch_size=48)
Limit = Callable[[int], None]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Has networks raise what CUDA does, at training steps of more images than this."""
    made = trainer.fresh

    def set_limit(images: int) -> None:
        def refuse(part: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            if part.training and len(arguments[0]) > images:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        def fresh(*arguments: Any) -> Network:
            found = made(*arguments)
            found.register_forward_pre_hook(refuse)
            return found

        monkeypatch.setattr(trainer, "fresh", fresh)

    return set_limit


def run(stops: tuple[int, ...] = (1, 3), checkpoint: Path | None = None) -> list[Evaluation]:
    seeds = TrainingSeeds(weights=1, order=2)
    return train(network(), RECIPE, data_set(), seeds, stops=stops, device=Device(), checkpoint=checkpoint)


@pytest.fixture(scope="module")
def whole() -> list[Evaluation]:
    """With memory enough."""
    return run()


@pytest.mark.parametrize(("images", "micro_batch"), [(48, 0), (47, 24), (24, 24), (23, 12), (12, 12)])
def test_a_batch_is_halved_until_it_fits(
    images: int, micro_batch: int, limit: Limit, whole: list[Evaluation]
) -> None:
    limit(images)
    found = run()
    assert {e.micro_batch for e in found} == {micro_batch}
    assert [(e.epochs, e.images, e.train_flops, e.ended) for e in found] == [
        (e.epochs, e.images, e.train_flops, False) for e in whole
    ]


def test_below_eight_images_a_network_is_too_large(limit: Limit) -> None:
    limit(7)
    found = run()
    assert [(e.epochs, e.images, e.accuracy, e.too_large, e.diverged) for e in found] == [
        (0, 0, 0.0, True, False)
    ] * 2
    assert all(math.isnan(e.loss) for e in found)


def test_an_evaluation_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(trainer, "measure_statistics", no_memory)
    assert [(e.epochs, e.too_large) for e in run()] == [(1, True)] * 2


def test_what_is_known_of_memory_is_kept_for_who_goes_on(
    limit: Limit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(24)
    expected = run()
    run((1,), tmp_path / "stopped.pt")
    monkeypatch.undo()  # memory is there again, and changes nothing
    found = run(checkpoint=tmp_path / "stopped.pt")
    assert [(e.micro_batch, e.loss) for e in found] == [(24, e.loss) for e in expected]
    limit(7)
    run((1,), tmp_path / "too large.pt")
    monkeypatch.undo()
    assert [e.too_large for e in run(checkpoint=tmp_path / "too large.pt")] == [True, True]


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_gradients_of_parts_are_those_of_the_batch(parts: int) -> None:
    """Without norms, whose statistics are the parts' own."""
    torch.manual_seed(0)
    images, labels = torch.randn(21, 3, 8, 8), torch.randint(0, 4, (21,))
    plain = nn.Sequential(nn.Conv2d(3, 6, 3), nn.SiLU(), nn.Flatten(), nn.Linear(216, 4))
    expected = nn.functional.cross_entropy(plain(images), labels, label_smoothing=0.1)
    whole = torch.autograd.grad(expected, list(plain.parameters()))
    loss = gradients(plain, images, labels, RECIPE, Device(), parts)
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
    for parameter, gradient in zip(plain.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
