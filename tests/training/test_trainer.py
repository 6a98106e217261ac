import dataclasses
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from scaler.cost.network_cost import cost
from scaler.data.batches import Batches, Normalisation, normalisation
from scaler.data.dataset import DataSet, Part, PartName
from scaler.networks.registry import base
from scaler.networks.spec import NetworkSpec
from scaler.training import checkpoint as files
from scaler.training.device import Device
from scaler.training.evaluation import evaluate, measure_statistics, measured
from scaler.training.recipe import Evaluation, Recipe, TrainingSeeds
from scaler.training.trainer import fresh, prepared, train, trained
from tests.training.toy import SIZES, data_set, network

CPU = Device()
SEEDS = TrainingSeeds(weights=1, order=2)
RECIPE = Recipe(epochs=3, batch_size=24, learning_rate=0.4, regularise=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def run(
    recipe: Recipe = RECIPE,
    seeds: TrainingSeeds = SEEDS,
    *,
    stops: Sequence[int] = (3,),
    spec: NetworkSpec | None = None,
    data: DataSet | None = None,
    **rest: Any,
) -> list[Evaluation]:
    return train(spec or network(), recipe, data or data_set(), seeds, stops=stops, device=CPU, **rest)


def timeless(evaluations: list[Evaluation]) -> list[Evaluation]:
    return [dataclasses.replace(evaluation, seconds=0.0) for evaluation in evaluations]


def equal(a: object, b: object) -> bool:
    """Equal to the last bit, through dictionaries and lists of tensors."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(equal, a, b))
    return a == b


@dataclasses.dataclass(frozen=True)
class Done:
    """A training that was never disturbed, for those that are held against it: only to be looked at."""

    evaluations: list[Evaluation]
    told: list[int]
    file: Path

    def copied(self, folder: Path) -> Path:
        """Its checkpoint, to go on from."""
        return Path(shutil.copy(self.file, folder / "copy.pt"))


def done(file: Path, stops: Sequence[int]) -> Done:
    told: list[int] = []
    return Done(run(stops=stops, checkpoint=file, on_epoch=told.append), told, file)


@pytest.fixture(scope="module")
def often(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Evaluated after every epoch."""
    return done(tmp_path_factory.mktemp("often") / "c.pt", (1, 2, 3))


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Evaluated in the end."""
    return done(tmp_path_factory.mktemp("once") / "c.pt", (3,))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Stopped after one epoch."""
    return done(tmp_path_factory.mktemp("first") / "c.pt", (1,))


def test_learns_what_can_be_learnt() -> None:
    recipe = Recipe(epochs=12, batch_size=12, learning_rate=0.8, flip=False, shift=0)
    first, last = run(recipe, stops=(1, 12))
    assert last.accuracy > 0.8
    assert last.loss < first.loss


@pytest.mark.parametrize(
    "recipe",
    [Recipe(learning_rate=1.6), Recipe(optimiser="muon", learning_rate=0.1, momentum=0.6)],
    ids=lambda recipe: recipe.optimiser,
)
def test_fits_a_tiny_set_by_heart(recipe: Recipe) -> None:
    """Labels without any meaning: only a network that is really trained can know them."""
    random = np.random.default_rng(0)
    part = Part(random.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8), np.arange(16) % 4)
    sizes: dict[PartName, int] = {"train": 16, "validation": 16, "test": 16}
    data = DataSet("noise", tuple("abcd"), sizes, 8, "noise", (), lambda name, resolution: part)
    recipe = dataclasses.replace(recipe, epochs=30, batch_size=8, flip=False, shift=0, label_smoothing=0)
    (last,) = run(recipe, stops=(30,), data=data)
    assert last.accuracy == 1.0


def test_counts_images_and_flops(often: Done) -> None:
    first, _, last = often.evaluations
    spec = prepared(network(), RECIPE, data_set())
    assert (first.epochs, last.epochs) == (1, 3)
    assert (first.images, last.images) == (96, 288)
    assert last.train_flops == 3 * cost(spec).flops * 288
    assert often.told == [1, 2, 3]
    assert 0 < first.seconds < last.seconds


def test_subset_of_images() -> None:
    (last,) = run(dataclasses.replace(RECIPE, images=50), stops=(1,))
    assert last.images == 48  # two batches of 24; the remainder waits for the next epoch's order


def test_stopping_and_going_on_changes_no_bit(tmp_path: Path, often: Done, first: Done) -> None:
    stopped = first.copied(tmp_path)
    torch.manual_seed(99)  # the process's own generator has no say
    run(stops=(1, 2), checkpoint=stopped)
    found = run(stops=(1, 2, 3), checkpoint=stopped)
    assert timeless(found) == timeless(often.evaluations)
    a, b = files.load(often.file), files.load(stopped)
    assert equal(a.network, b.network)
    assert equal(a.optimiser, b.optimiser)


class Killed(BaseException):
    """A process that is gone."""


def test_a_training_killed_after_every_epoch_goes_on_from_there_and_changes_no_bit(
    tmp_path: Path, once: Done
) -> None:
    killed = tmp_path / "killed.pt"
    epochs: list[int] = []

    def kill(done: int) -> None:
        epochs.append(done)
        raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            run(stops=(3,), checkpoint=killed, on_epoch=kill)
    assert timeless(run(stops=(3,), checkpoint=killed, on_epoch=epochs.append)) == timeless(once.evaluations)
    assert epochs == [1, 2, 3]
    assert equal(files.load(once.file).network, files.load(killed).network)
    assert equal(files.load(once.file).averaged, files.load(killed).averaged)


@pytest.mark.parametrize("length", [0, 100, -200])
def test_half_a_checkpoint_is_passed_over(length: int, tmp_path: Path, first: Done, often: Done) -> None:
    file = first.copied(tmp_path)
    file.write_bytes(file.read_bytes()[:length])
    assert timeless(run(stops=(2,), checkpoint=file)) == timeless(often.evaluations[1:2])
    assert files.load(file).epochs == 2


def test_stops_on_the_way_change_no_bit(often: Done, once: Done) -> None:
    assert equal(files.load(often.file).network, files.load(once.file).network)
    assert timeless(often.evaluations[2:]) == timeless(once.evaluations)


def test_another_process_goes_on_to_the_last_bit(tmp_path: Path, often: Done) -> None:
    stopped = tmp_path / "stopped.pt"
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_trainer as t\n"
        "t.torch.set_num_threads(1)\n"
        "t.run(stops=(1,), checkpoint=pathlib.Path(sys.argv[2]))"
    )
    folder = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", program, folder, str(stopped)], check=True)
    assert files.load(stopped).epochs == 1
    expected = [often.evaluations[0], often.evaluations[2]]
    assert timeless(run(stops=(1, 3), checkpoint=stopped)) == timeless(expected)
    assert equal(files.load(often.file).network, files.load(stopped).network)


def test_a_finished_training_is_read_not_repeated(tmp_path: Path, often: Done) -> None:
    file, first = often.copied(tmp_path), often.evaluations
    calls: list[int] = []
    assert run(stops=(1, 3), checkpoint=file, on_epoch=calls.append) == [first[0], first[2]]
    assert run(stops=(1,), checkpoint=file, on_epoch=calls.append) == first[:1]
    assert calls == []


def test_a_checkpoint_of_another_training_is_not_used(tmp_path: Path, first: Done) -> None:
    other = dataclasses.replace(RECIPE, learning_rate=0.1)
    found = run(other, stops=(1, 2), checkpoint=first.copied(tmp_path))
    assert timeless(found) == timeless(run(other, stops=(1, 2)))


def test_a_checkpoint_that_ran_past_a_stop_is_not_used(tmp_path: Path, often: Done, once: Done) -> None:
    found = run(stops=(1, 3), checkpoint=once.copied(tmp_path))
    assert timeless(found) == timeless([often.evaluations[0], often.evaluations[2]])


def test_the_same_seeds_give_the_same_result_and_others_another(first: Done) -> None:
    one = timeless(first.evaluations)
    torch.manual_seed(5)
    assert timeless(run(stops=(1,))) == one
    assert timeless(run(seeds=TrainingSeeds(7, 2), stops=(1,))) != one
    assert timeless(run(seeds=TrainingSeeds(1, 7), stops=(1,))) != one


def test_leaves_the_generator_of_the_process_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run(dataclasses.replace(RECIPE, images=24), stops=(1,))
    assert torch.equal(torch.rand(2), expected)


def test_divergence_is_a_result(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30)
    found = run(recipe, stops=(1, 2, 3), checkpoint=file)
    assert len(found) == 3
    assert all(evaluation.diverged and evaluation.accuracy == 0 for evaluation in found)
    assert all(math.isnan(evaluation.loss) for evaluation in found)
    calls: list[int] = []
    again = run(recipe, stops=(1, 2, 3), checkpoint=file, on_epoch=calls.append)
    assert calls == []
    assert [evaluation.epochs for evaluation in again] == [evaluation.epochs for evaluation in found]


def test_the_trained_network_comes_back(once: Done) -> None:
    (last,) = once.evaluations
    net = trained(network(), RECIPE, data_set(), once.file)
    accuracy, loss = evaluate(net, data_set(), "validation", 8, CPU)
    assert accuracy == last.accuracy
    assert loss == pytest.approx(last.loss, rel=1e-6)


def test_evaluate_against_one_big_batch() -> None:
    net = fresh(prepared(network(), RECIPE, data_set()), 0).train()
    accuracy, loss = evaluate(net, data_set(), "test", 8, CPU)
    pixels = data_set().part("train", 8).images.reshape(-1, 3).astype(np.float64)
    part = data_set().part("test", 8)
    images = torch.from_numpy((part.images - pixels.mean(0)) / pixels.std(0)).permute(0, 3, 1, 2).float()
    labels = torch.from_numpy(part.labels)
    with torch.no_grad():
        scores = net.eval()(images)
    assert accuracy == pytest.approx(float((scores.argmax(1) == labels).float().mean()))
    assert loss == pytest.approx(float(functional.cross_entropy(scores, labels)), rel=1e-4)
    assert len(labels) == SIZES["test"]


def test_averaged_weights_are_judged_and_are_the_last_ones_in_the_end(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=8, batch_size=8)
    between = {}

    def keep(epochs: int) -> None:
        shutil.copy(tmp_path / "c.pt", tmp_path / f"{epochs}.pt")

    evaluations = run(recipe, stops=(4, 8), checkpoint=tmp_path / "c.pt", on_epoch=keep)
    for epochs, found in zip((4, 8), evaluations, strict=True):
        file = tmp_path / f"{epochs}.pt"
        saved = files.load(file)
        names = [name for name, weight in saved.network.items() if weight.ndim > 1]
        last, averaged = (
            torch.cat([w[name].flatten() for name in names]) for w in (saved.network, saved.averaged)
        )
        between[epochs] = float((last - averaged).norm() / last.norm())
        net = trained(network(), recipe, data_set(), file)
        assert all(torch.equal(net.state_dict()[name], saved.averaged[name]) for name in names)
        assert evaluate(net, data_set(), "validation", 8, CPU)[0] == found.accuracy
    assert between[8] < between[4] / 5


def test_statistics_are_those_of_the_images_given() -> None:
    spec = prepared(network(), RECIPE, data_set())
    net = fresh(spec, 0).train()
    part = data_set().part("train", 8)
    batches = Batches(part, 32, normalisation(part))
    measure_statistics(net, batches, CPU)
    first = net.get_submodule("stem.0")
    norm = next(module for module in first.modules() if isinstance(module, nn.BatchNorm2d))
    conv = next(module for module in first.modules() if isinstance(module, nn.Conv2d))
    maps = [conv(images).detach() for images, _ in batches.evaluation()]
    torch.testing.assert_close(norm.running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0))
    assert norm.momentum == spec.style.norm_momentum
    assert not any(module.training for module in net.modules() if not isinstance(module, nn.BatchNorm2d))


def test_no_image_counts_more_than_others_in_statistics() -> None:
    images = np.full((257, 2, 2, 3), 100, dtype=np.uint8)
    images[-1] = 200  # which was half of the average, in a last batch by itself
    part = Part(images, np.zeros(257, dtype=np.int64))
    norms = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3))
    batches = measured(part, 257, Normalisation((0.0,) * 3, (1.0,) * 3), CPU)
    measure_statistics(norms, batches, CPU)
    expected = torch.full((3,), images.mean().item())
    torch.testing.assert_close(norms.get_submodule("0").running_mean, expected, rtol=1e-4, atol=0)


def test_prepared_fits_the_network_to_data_and_recipe() -> None:
    spec = dataclasses.replace(network(), classes=1000)
    assert spec.style.drop_path > 0
    kept = prepared(spec, Recipe(regularise=True), data_set())
    bare = prepared(spec, Recipe(), data_set())
    assert kept.classes == bare.classes == 4
    assert kept.style.drop_path == spec.style.drop_path
    assert kept.head.dropout == spec.head.dropout
    assert bare.style.drop_path == bare.head.dropout == 0


OWN_CODE = """
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self, classes, dropped):
        super().__init__()
        self.body, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm1d(8), nn.Linear(8, classes)
        self.dropped = dropped
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x):
        self.batches += self.training
        x = self.norm(self.body(x).relu().mean((2, 3)))
        return self.head(functional.dropout(x, self.dropped, self.training))

def normed(depth, width, resolution, num_classes): return Net(num_classes, 0.0)
def dropping(depth, width, resolution, num_classes): return Net(num_classes, 0.5)
normed.base_resolution = dropping.base_resolution = 8
"""


def own(folder: Path, function: str) -> NetworkSpec:
    (folder / "nets.py").write_text(OWN_CODE)
    return base(f"{folder / 'nets.py'}:{function}")


def test_all_norms_of_ones_own_code_are_measured_and_its_buffers_kept(tmp_path: Path) -> None:
    spec, recipe, file = (
        own(tmp_path, "normed"),
        dataclasses.replace(RECIPE, regularise=False),
        tmp_path / "a.pt",
    )
    run(recipe, spec=spec, checkpoint=file)
    network = next(trained(spec, recipe, data_set(), file).children())
    norm = network.get_submodule("norm")
    assert isinstance(norm.running_mean, torch.Tensor)
    assert (norm.running_mean > 0).any(), "means of what a ReLU left"
    assert float(network.get_buffer("batches")) == 3 * SIZES["train"] / recipe.batch_size


def test_what_ones_own_code_drops_is_drawn_from_the_seeds(tmp_path: Path) -> None:
    spec, recipe = own(tmp_path, "dropping"), dataclasses.replace(RECIPE, regularise=False)
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        found.append(timeless(run(recipe, spec=spec)))
    assert found[0] == found[1]
