"""SGD against torch's own; Muon against what it says of itself."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from scaler.networks.build import build
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.training.optimiser import OTHERS, Descent, Muon, is_matrix, optimiser
from scaler.training.orthogonal import orthogonal
from scaler.training.recipe import Recipe

RECIPE = Recipe(epochs=2, images=64, batch_size=16, weight_decay=0.1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return build(small(base("effnet-b0"), 8)).train()


def reference(net: nn.Module) -> torch.optim.SGD:
    """Torch's, without weight decay on norms and biases, which are told by their names and modules."""
    norms = [name for name, module in net.named_modules() if "Norm" in type(module).__name__]
    spared = {n for n, _ in net.named_parameters() if n.endswith("bias") or n.rpartition(".")[0] in norms}
    groups = [
        {"params": [p for n, p in net.named_parameters() if n not in spared], "weight_decay": 0.1},
        {"params": [p for n, p in net.named_parameters() if n in spared], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.1, momentum=RECIPE.momentum, nesterov=True, fused=True)


def give_gradients(net: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for parameter in net.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_steps_are_those_of_torch_to_the_last_bit_from_its_own_state_too() -> None:
    ours, theirs, later = network(), network(), network()
    descent, expected = Descent(ours, RECIPE), reference(theirs)
    for step in range(4):
        descent.rate = 0.1 / (step + 1)
        for group in expected.param_groups:
            group["lr"] = descent.rate
        for net, either in ((ours, descent), (theirs, expected)):
            give_gradients(net, step)
            either.step()
            either.zero_grad()
            assert all(p.grad is None for p in net.parameters())
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
    # A checkpoint of torch's optimiser is gone on with.
    resumed = Descent(later, RECIPE)
    resumed.load_state_dict(expected.state_dict())
    assert resumed.state_dict()["state"].keys() == descent.state_dict()["state"].keys()
    for i, saved in descent.state_dict()["state"].items():
        assert torch.equal(resumed.state_dict()["state"][i]["momentum_buffer"], saved["momentum_buffer"])


def test_what_has_no_gradient_stays_as_it_is() -> None:
    net = network()
    descent = Descent(net, RECIPE)
    give_gradients(net, 0)
    idle = next(net.parameters())
    idle.grad, before = None, idle.detach().clone()
    descent.step()
    assert torch.equal(idle, before)
    assert len(descent.state_dict()["state"]) == len(list(net.parameters())) - 1


def test_a_training_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from tests.execution.test_many_devices import SPEC, training
training(Path(sys.argv[1]))(SPEC)
assert "torch.optim.sgd" in sys.modules
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


MUON = Recipe(optimiser="muon", learning_rate=0.1, momentum=0.5, weight_decay=0.0)


def stepped(net: nn.Module, size: float = 1.0, steps: int = 1, rate: float | torch.Tensor = 0.1) -> Muon:
    """After steps by gradients of some size."""
    descent = optimiser(net, MUON)
    for step in range(steps):
        give_gradients(net, step)
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter.grad *= size
        descent.rate = rate
        descent.step()
    assert isinstance(descent, Muon)
    return descent


def shallow() -> nn.Module:
    """With what Muon tells apart: a stem, depthwise and pointwise layers, excitation, norms, a classifier."""
    whole = small(base("effnet-b0"), 8)
    torch.manual_seed(0)
    return build(replace(whole, stages=whole.stages[:2]).with_classes(4)).train()


@torch.no_grad()
def changes(net: nn.Module) -> dict[str, torch.Tensor]:
    return {n: p - q for (n, p), q in zip(net.named_parameters(), shallow().parameters(), strict=True)}


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16), (1, 9)])
def test_the_nearest_orthogonal_matrix(shape: tuple[int, int]) -> None:
    random = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    (found,) = orthogonal([random])
    u, _, v = torch.linalg.svd(random, full_matrices=False)
    for one, turned in zip(found, u @ v, strict=True):
        values = torch.linalg.svdvals(one)
        assert values.min() > 0.6
        assert values.max() < 1.25
        # The same singular vectors: what is left of it in their basis is diagonal.
        assert float((one * turned).sum() / (one.norm() * turned.norm())) > 0.97
    assert torch.equal(orthogonal([torch.zeros(1, *shape)])[0], torch.zeros(1, *shape))


def test_matrices_of_all_shapes_take_the_steps_together_that_each_takes_alone() -> None:
    """The five steps from a matrix over its length, written out in double precision."""
    source = torch.Generator().manual_seed(0)
    shapes = [(3, 1, 40), (2, 40, 6), (1, 16, 16), (2, 6, 27), (1, 96, 154), (1, 1, 1)]
    stacks = [torch.randn(shape, generator=source) for shape in shapes]
    for stack, found in zip(stacks, orthogonal(stacks), strict=True):
        expected = stack.double() / stack.double().norm(dim=(1, 2), keepdim=True)
        for _ in range(5):
            square = expected @ expected.mT
            expected = 3.4445 * expected + (-4.7750 * square + 2.0315 * square @ square) @ expected
        assert found.shape == stack.shape
        assert torch.allclose(found.double(), expected, atol=2e-5)
    assert orthogonal([]) == []


def test_muon_moves_every_layer_as_far_whatever_its_gradient() -> None:
    one, other = shallow(), shallow()
    stepped(one)
    stepped(other, size=1e-3)
    smaller = changes(other)
    for name, change in changes(one).items():
        assert torch.allclose(change, smaller[name], rtol=1e-3, atol=1e-6), name
        if not is_matrix(change):
            assert float(change.square().mean().sqrt()) == pytest.approx(0.1 * OTHERS, rel=1e-4), name
            continue
        out, into = change.flatten(1).shape
        longest = float(torch.linalg.matrix_norm(change.flatten(1), 2))
        assert longest == pytest.approx(0.1 * max(1, out / into) ** 0.5, rel=0.25), name


@pytest.mark.parametrize("size", [0.0, 1e-16, 1e-24, 1e-38])
def test_muon_leaves_layers_that_no_longer_have_a_gradient_where_they_are(size: float) -> None:
    """A unit that is dead for good, whose momentum falls below what a float can square."""
    net = shallow()
    stepped(net, size=size)
    for name, change in changes(net).items():
        assert torch.isfinite(change).all(), name
        assert float(change.abs().max()) < 1e-3, name


def test_muon_goes_on_from_its_state_and_takes_a_rate_from_a_device() -> None:
    whole, resumed, told = shallow(), shallow(), shallow()
    stepped(whole, steps=3)
    stepped(told, steps=3, rate=torch.tensor(0.1))
    saved = stepped(resumed, steps=2).state_dict()
    later = optimiser(resumed, MUON)
    later.load_state_dict(saved)
    give_gradients(resumed, 2)
    later.rate = 0.1
    later.step()
    for one, other, same in zip(whole.parameters(), resumed.parameters(), told.parameters(), strict=True):
        assert torch.equal(one, other)
        assert torch.allclose(one, same, atol=1e-6)


def test_muon_leaves_what_has_no_gradient_and_decays_matrices_alone() -> None:
    net = shallow()
    descent = optimiser(net, replace(MUON, weight_decay=0.5))
    give_gradients(net, 0)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    idle = next(p for p in net.parameters() if is_matrix(p))
    idle.grad = None
    before = {p: p.detach().clone() for p in net.parameters()}
    descent.rate = 0.1
    descent.step()
    for parameter, old in before.items():
        shrunk = is_matrix(parameter) and parameter is not idle
        assert torch.allclose(parameter, old * (0.95 if shrunk else 1))
