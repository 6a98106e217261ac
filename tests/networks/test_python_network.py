"""A network that is the user's code: it scales, counts, builds and trains like any other."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scaler.cost.counting import count_by_blocks, count_module
from scaler.cost.memory import memory
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks import spec_files
from scaler.networks.build import build
from scaler.networks.python_network import PythonNetwork
from scaler.networks.registry import base
from scaler.networks.scale import effective, identity, scale, small
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import Exponents
from scaler.search.candidates.enumeration import enumerate_candidates
from scaler.search.candidates.grid import lattice_points
from scaler.search.candidates.realise import Scalable, Target

SOURCE = """
from torch import nn

def tiny(depth, width, resolution, num_classes):
    channels = round(8 * width)
    layers = [nn.Conv2d(3, channels, 3, padding=1), nn.ReLU()]
    for _ in range(round(2 * depth)):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(channels, num_classes)]
    return nn.Sequential(*layers, *pool)

tiny.base_resolution = 16

def plain(depth, width, resolution, num_classes):
    return tiny(depth, width, resolution, num_classes)

def no_module(**_): return 5
def wrong_arguments(depth): return nn.Identity()
def raises(**_): raise RuntimeError("out of ideas")
def wrong_shape(**_): return nn.Flatten()
def no_tensor(num_classes, **_):
    class Pair(nn.Module):
        def forward(self, x): return x, x
    return Pair()
def too_small(num_classes, **_):
    return nn.Sequential(nn.Conv2d(3, 4, 300), nn.Flatten())
value = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def spec(file: Path) -> PythonNetwork:
    found = base(f"{file}:tiny").with_classes(10)
    assert isinstance(found, PythonNetwork)
    return found


def test_its_cost_is_that_of_its_layers(spec: PythonNetwork) -> None:
    def by_hand(channels: int, blocks: int, pixels: int) -> int:
        convs = 9 * channels * (3 + blocks * channels)
        return (convs + 2 * channels * blocks + channels) * pixels**2 + 10 * channels  # norms; pooling

    assert cost(spec).flops == by_hand(8, 2, 16)
    larger = scale(spec, Multipliers(2, 1.5, 1.25), Rounding())
    assert larger.resolution == 20
    assert cost(larger).flops == by_hand(12, 4, 20)
    assert cost(larger).params == sum(p.numel() for p in build(larger).parameters())


def test_multipliers_stay_as_asked(spec: PythonNetwork) -> None:
    larger = scale(scale(spec, Multipliers(1.3, 1.1, 1.5), Rounding()), Multipliers(2, 1, 1), Rounding())
    assert effective(larger, spec).largest_difference(Multipliers(2.6, 1.1, 1.5)) < 1e-12


def test_the_same_realised_network_has_the_same_identity(spec: PythonNetwork) -> None:
    def one(depth: float, resolution: float = 1) -> object:
        return identity(scale(spec, Multipliers(depth, 1, resolution), Rounding()))

    assert one(1.9) == one(2.1), "both round to 4 blocks"
    assert one(1.9) != one(2.4)
    assert one(1.9) != one(1.9, 1.5)
    assert hash(one(1.9)) == hash(one(2.1))


def test_small_changes_only_the_resolution(spec: PythonNetwork) -> None:
    changed = small(spec, 8)
    assert changed.resolution == 8
    assert cost(changed).params == cost(spec).params


def test_it_trains(spec: PythonNetwork) -> None:
    network = build(spec, short_training=True)
    assert network.spec == spec
    assert network.training
    scores = network(torch.rand(4, 3, 16, 16))
    assert scores.shape == (4, 10)
    scores.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_same_seed_gives_the_same_weights(spec: PythonNetwork) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(spec).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_dropout_can_be_left_out(spec: PythonNetwork) -> None:
    network = build(spec.without_regularisation())
    images = torch.rand(4, 3, 16, 16)
    assert torch.equal(network(images), network(images))
    assert not torch.equal(build(spec)(images), build(spec)(images))


def test_it_goes_to_another_process(spec: PythonNetwork) -> None:
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_a_module_in_the_working_directory_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.rename(file.with_name("nets_of_a_user.py"))
    monkeypatch.chdir(file.parent)
    spec = base("nets_of_a_user:plain")
    assert (spec.name, spec.family, spec.resolution) == ("nets_of_a_user-plain", "user", 224)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing_here", r"there is no function 'nothing_here' in .*nets\.py"),
        ("value", "there is no function 'value'"),
        ("no_module", r"must return a torch\.nn\.Module, not int"),
        ("wrong_arguments", r"nets\.py:wrong_arguments\(depth=1, .* failed: TypeError: .*width"),
        ("raises", r"raises\(depth=1, width=1, .* failed: RuntimeError: out of ideas"),
        ("wrong_shape", r"must give scores \[N, 10\] .*for N = 2 it gave \(2, 150528\)"),
        ("no_tensor", r"must give scores \[N, 10\] .*it gave tuple"),
        ("too_small", r"cannot take images of 224 px: RuntimeError: .*[Kk]ernel size"),
    ],
)
def test_errors_in_one_sentence(file: Path, function: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build(base(f"{file}:{function}").with_classes(10))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_of_anyone:net", "cannot find the module 'no_such_module_of_anyone'"),
        ("nowhere/nets.py:net", r"there is no file .*nowhere/nets\.py"),
        (":net", "module:function"),
        ("json:", "module:function"),
    ],
)
def test_a_function_that_cannot_be_found_is_told(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        base(name)


def test_errors_of_the_file_itself_are_told(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import torch\n1 / 0\n")
    with pytest.raises(UserError, match=r"running .*broken\.py failed: ZeroDivisionError: division by zero"):
        base(f"{tmp_path / 'broken.py'}:net")


def test_a_base_resolution_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("def net(**_): pass\nnet.base_resolution = 'large'\n")
    with pytest.raises(UserError, match="whole number of pixels from 1 to 8192, not 'large'"):
        base(f"{tmp_path / 'odd.py'}:net")


def test_candidates_of_a_users_function_are_distinct_networks_that_meet_the_budget(file: Path) -> None:
    native = base(f"{file}:tiny").with_classes(10)
    bases = Scalable(native, Rounding()), Scalable(small(native, 12), Rounding(divisor=1))
    exponents = Exponents(1, 2, 2)
    points = lattice_points(1, 2.0, exponents)
    kept = enumerate_candidates(points, *bases, Target(2.0, 0.08), exponents).kept
    assert len(kept) >= 2
    assert len({identity(candidate.native.spec) for candidate in kept}) == len(kept)
    for candidate in kept:
        for realised in (candidate.native, candidate.proxy):
            assert realised.ratio == pytest.approx(2, rel=0.08)
            assert count_module(build(realised.spec), realised.spec.resolution) == realised.cost


def test_it_lies_in_a_file_of_a_run_but_in_no_file_that_a_base_is_read_from(
    spec: PythonNetwork, tmp_path: Path
) -> None:
    larger = scale(spec.without_regularisation(), Multipliers(1.3, 1.5, 1.25), Rounding())
    kept = tmp_path / "kept.yaml"
    kept.write_text(spec_files.text_of(larger))
    again = spec_files.read(kept)
    torch.manual_seed(0)
    built = build(larger).state_dict()
    torch.manual_seed(0)
    read = build(again).state_dict()
    assert built.keys() == read.keys()
    assert all(torch.equal(built[name], read[name]) for name in built)
    assert (again.name, again.resolution, again.classes) == (larger.name, 20, 10)
    with pytest.raises(UserError, match=r"kept.yaml, line 2, key 'target'"):
        base(str(kept))


def test_other_code_is_another_network(file: Path, spec: PythonNetwork) -> None:
    edited = file.with_name("edited.py")
    edited.write_text(SOURCE.replace("nn.ReLU", "nn.SiLU"))
    other = base(f"{edited}:tiny")
    assert isinstance(other, PythonNetwork)
    assert other.source != spec.source != ""
    with pytest.raises(UserError, match="is not what it was when the work began"):
        build(replace(other, source=spec.source))


def test_an_edited_file_is_new_code_for_who_comes_then(file: Path, spec: PythonNetwork) -> None:
    file.write_text(SOURCE.replace("8 * width", "16 * width"))
    edited = base(f"{file}:tiny").with_classes(10)
    assert cost(edited).params > cost(spec).params
    assert sum(p.numel() for p in build(spec).parameters()) == cost(spec).params, (
        "what began goes on with its own"
    )


def test_edited_code_has_a_cost_of_its_own(file: Path, spec: PythonNetwork) -> None:
    before = cost(spec).flops
    file.write_text(SOURCE.replace("channels, 3, padding=1)", "channels, 3, 2, padding=1)"))
    edited = base(f"{file}:tiny").with_classes(10)
    assert cost(edited).params == cost(spec).params
    assert cost(edited).flops == count_by_blocks(edited).flops < before / 3


def test_an_edited_module_is_refused_where_it_is_imported(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = file.rename(file.with_name("nets_to_edit.py"))
    monkeypatch.chdir(file.parent)
    spec = base("nets_to_edit:tiny")
    module.write_text(SOURCE.replace("8 * width", "16 * width"))
    for again in (lambda: base("nets_to_edit:tiny"), lambda: build(spec)):
        with pytest.raises(UserError, match="nets_to_edit was edited after it was imported"):
            again()


def test_its_memory_is_counted_without_holding_it(spec: PythonNetwork) -> None:
    assert memory(spec, 4).training > memory(spec, 4).inference > 0
