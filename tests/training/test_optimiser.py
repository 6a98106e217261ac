"""The descent against torch's own optimiser."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from scaler.networks.build import build
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.training.optimiser import Descent
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
        for net, optimiser in ((ours, descent), (theirs, expected)):
            give_gradients(net, step)
            optimiser.step()
            optimiser.zero_grad()
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
