"""Peak memory against sums by hand and against what autograd saves."""

import pytest
import torch

from scaler.cost.memory import memory
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.build import Network
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding


def one_block(width: int, pixels: int, stride: int = 1) -> NetworkSpec:
    stage = Stage("plain", 1, width, stride=stride)
    return NetworkSpec("one", "user", (), (stage,), Head(), pixels, classes=2)


def shallow(spec: NetworkSpec) -> NetworkSpec:
    """One block per stage: every further one takes its time on the meta device as well."""
    return scale(spec, Multipliers(depth=0.01), Rounding())


def test_inference_by_hand() -> None:
    width, pixels, batch = 5, 8, 3
    spec = one_block(width, pixels)
    weights = 4 * cost(spec).params + 2 * 4 * width + 8  # running statistics, and the count of batches
    inputs = batch * (4 * 3 * pixels**2 + 8)
    maps = 2 * 4 * batch * width * pixels**2  # the convolution's and the norm's; the activation is in place
    statistics = 2 * 4 * width
    assert memory(spec, batch).inference == weights + inputs + maps + statistics


def test_training_holds_what_autograd_saves() -> None:
    spec, batch = shallow(small(base("effnet-b0"), 32)).with_classes(10), 4
    network = Network(spec)
    saved: dict[int, torch.Tensor] = {}
    own = {parameter.data_ptr() for parameter in network.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in own:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scores = network(torch.zeros(batch, 3, 32, 32))
    held = sum(tensor.untyped_storage().nbytes() for tensor in saved.values()) + scores.nbytes
    weights = 4 * cost(spec).params
    least = held + 2 * weights  # and momentum; gradients come as saved activations go
    assert least <= memory(spec, batch).training <= 1.1 * (least + weights)


def test_memory_grows_with_the_batch() -> None:
    """Peaks are linear in the batch, at whichever place is highest: so they grow, and never slower."""
    spec = shallow(base("resnet-20"))
    few, more, most = (memory(spec, batch) for batch in (8, 16, 24))
    assert most.inference - more.inference == more.inference - few.inference > 0
    assert most.training - more.training >= more.training - few.training > 0


def test_a_norm_over_one_value_is_the_users_error() -> None:
    with pytest.raises(UserError, match="one cannot train on 1 images of 4 px"):
        memory(one_block(4, 4, stride=4), 1)


def test_memory_leaves_the_random_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    memory(one_block(5, 8), 2)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_measures_about_what_is_counted() -> None:
    spec = base("resnet-50")
    counted, measured = memory(spec, 16), memory(spec, 16, "cuda:0")
    assert measured.measured
    assert 0.8 < measured.training / counted.training < 1.6
