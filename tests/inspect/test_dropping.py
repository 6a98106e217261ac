"""Training with and without excitations: the pair differs by nothing else."""

import pytest

from scaler.data.dataset import DataSet
from scaler.data.registry import load
from scaler.inspect import dropping
from scaler.inspect.dropping import Loss, retrain
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.networks.spec import NetworkSpec
from scaler.networks.squeeze import with_se
from scaler.training.device import Device
from scaler.training.recipe import Evaluation, Recipe, TrainingSeeds

SPEC = with_se(small(base("resnet-20"), 8), 4)


def test_dropping_nothing_costs_nothing_to_the_last_image() -> None:
    data = load("digits", largest_resolution=8)
    recipe = Recipe(epochs=2, images=64, batch_size=32, validation_images=60)
    epochs: list[int] = []
    loss = retrain(
        SPEC, [], recipe, data, seeds=1, seed=5, device=Device(), on_epoch=lambda: epochs.append(1)
    )
    assert list(loss.differences) == [0]
    assert loss.stderr is None
    assert len(epochs) == 4


def test_pairs_share_their_seeds_and_differ_in_the_excitations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for training, whose accuracy is the number of blocks with an excitation."""
    seen: list[TrainingSeeds] = []

    def train(
        spec: NetworkSpec, recipe: Recipe, data: DataSet, seeds: TrainingSeeds, **_: object
    ) -> list[Evaluation]:
        seen.append(seeds)
        excited = sum(stage.depth for stage in spec.stages if stage.se)
        return [Evaluation(1, 1, 1, excited / 10, 0.0, 0.0)]

    monkeypatch.setattr(dropping, "train", train)
    data = load("digits", largest_resolution=8)
    places = [(0, 1), (2, 0), (2, 1)]
    loss = retrain(SPEC, places, Recipe(), data, seeds=2, seed=5, device=Device(), on_epoch=lambda: None)
    assert loss == Loss(whole=(0.9, 0.9), dropped=(0.6, 0.6))
    assert seen[0] == seen[1] != seen[2] == seen[3]


def test_the_mean_and_its_error_are_of_the_pairs() -> None:
    loss = Loss(whole=(0.9, 0.6, 0.7), dropped=(0.85, 0.58, 0.62))
    assert loss.mean == pytest.approx(0.05)
    assert loss.stderr == pytest.approx(0.03 / 3**0.5)
