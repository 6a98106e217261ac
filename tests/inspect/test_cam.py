"""Activation maps against maps computed by hand, and against the theory that joins the two methods."""

import builtins
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scaler.errors import UserError
from scaler.inspect.cam import class_maps, method_for
from scaler.networks.build import Network, build
from scaler.networks.python_network import python_network
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

RED_GREEN = NetworkSpec(
    name="red-green",
    family="user",
    stem=(Stage("bare", 1, 2, kernel=1),),
    stages=(Stage("plain", 1, 2, kernel=1),),
    head=Head(),
    resolution=2,
    classes=2,
)


def red_green() -> Network:
    """Its two last maps are the red and the green channel; class 0 is red - 2 green, class 1 is 3 red."""
    network = build(RED_GREEN).eval()
    state = network.state_dict()
    state["stem.0.0.weight"] = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).view(2, 3, 1, 1)
    state["stages.0.0.conv.weight"] = torch.eye(2).view(2, 2, 1, 1)
    state["stages.0.0.norm.running_var"] = torch.full((2,), 1 - 1e-5)  # with its epsilon, the norm is 1
    state["head.classifier.weight"] = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    state["head.classifier.bias"] = torch.tensor([5.0, 7.0])
    network.load_state_dict(state)
    return network


def random_network(name: str, resolution: int, width: float = 1) -> tuple[Network, Tensor, Tensor]:
    """A small variant with random weights, four images, and a class for each."""
    torch.manual_seed(3)
    spec = scale(small(base(name), resolution), Multipliers(width=width), Rounding())
    network = build(spec.with_classes(5)).eval()
    for part in network.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return network, torch.randn(4, 3, resolution, resolution), torch.tensor([0, 4, 2, 2])


def test_maps_of_a_tiny_network_are_those_computed_by_hand() -> None:
    image = torch.tensor([[[1.0, 2], [3, 4]], [[10, 0], [0.5, 1]], [[9, 9], [9, 9]]])
    maps = class_maps(red_green(), torch.stack([image, image]), torch.tensor([0, 1]))
    torch.testing.assert_close(maps[0], torch.tensor([[-19.0, 2], [2, 2]]))
    torch.testing.assert_close(maps[1], torch.tensor([[3.0, 6], [9, 12]]))


@pytest.mark.parametrize("name", ["resnet-20", "effnet-b0", "densenet-bc-100-12"])
def test_the_mean_of_a_map_and_the_bias_are_the_score(name: str) -> None:
    network, images, classes = random_network(name, 32)
    maps = class_maps(network, images, classes)
    bias = network.get_parameter("head.classifier.bias")[classes]
    scores = network(images).gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(maps.mean((1, 2)) + bias, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet-20", "effnet-b0", "densenet-bc-100-12"])
def test_where_both_exist_grad_cam_is_cam_over_the_pixels_of_a_map(name: str) -> None:
    """The gradient of a score by a map that is averaged is w / pixels at each pixel (Selvaraju, sec. 3.1)."""
    pytest.importorskip("captum")
    network, images, classes = random_network(name, 32)
    cam = class_maps(network, images, classes, "cam")
    grad = class_maps(network, images, classes, "grad-cam")
    torch.testing.assert_close(grad * cam[0].numel(), cam, rtol=1e-4, atol=1e-4)


def test_grad_cam_elsewhere_is_its_formula() -> None:
    pytest.importorskip("captum")
    network, images, classes = random_network("vgg-16", 32, width=0.125)
    assert method_for(network) == "grad-cam"
    maps = class_maps(network, images, classes)
    features = network.get_submodule("stages")(network.get_submodule("stem")(images)).detach()
    features.requires_grad_()
    scores = network.get_submodule("head")(features).gather(1, classes[:, None]).sum()
    (gradient,) = torch.autograd.grad(scores, features)
    expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1)
    torch.testing.assert_close(maps, expected.detach(), rtol=1e-4, atol=1e-7)


def own_code(depth: float, width: float, resolution: int, num_classes: int) -> nn.Module:
    """A user's network whose last activation works in place, as most people write it."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, num_classes),
    )  # fmt: skip


def test_a_users_own_code_gets_grad_cam_at_its_last_map() -> None:
    pytest.importorskip("captum")
    network = build(python_network(f"{__file__}:own_code").with_classes(3)).eval()
    images, classes = torch.randn(2, 3, 8, 8), torch.tensor([0, 2])
    maps = class_maps(network, images, classes)
    code = network.get_submodule("network")
    assert isinstance(code, nn.Sequential)
    features, last = code[:2](images), code[4]
    assert isinstance(last, nn.Linear)
    expected = torch.einsum("nk,nkhw->nhw", last.weight[classes], features) / 64
    torch.testing.assert_close(maps, expected.detach(), rtol=1e-4, atol=1e-6)


def test_cam_of_a_network_that_has_none_is_refused() -> None:
    network, images, classes = random_network("vgg-16", 32, width=0.125)
    with pytest.raises(UserError, match="vgg-16 does not end in pooling and one linear layer"):
        class_maps(network, images, classes, "cam")


def test_without_captum_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(
        name: str,
        names: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        wanted: Sequence[str] = (),
        level: int = 0,
    ) -> object:
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, names, local, wanted, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs captum.*pip install 'compound-scaler\[inspect\]'"):
        class_maps(red_green(), torch.rand(1, 3, 2, 2), torch.tensor([0]), "grad-cam")


def test_batches_change_nothing() -> None:
    network = red_green()
    images, classes = torch.rand(150, 3, 2, 2), torch.arange(150) % 2
    single = torch.cat([class_maps(network, images[i : i + 1], classes[i : i + 1]) for i in range(150)])
    torch.testing.assert_close(class_maps(network, images, classes), single)


def test_a_head_with_a_convolution_is_part_of_the_maps() -> None:
    spec = replace(RED_GREEN, head=Head(width=3))
    torch.manual_seed(0)
    network = build(spec).eval()
    assert class_maps(network, torch.rand(1, 3, 2, 2), torch.tensor([1])).shape == (1, 2, 2)
    images, classes = torch.rand(2, 3, 2, 2), torch.tensor([1, 0])
    bias = network.get_parameter("head.classifier.bias")[classes]
    scores = network(images).gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(class_maps(network, images, classes).mean((1, 2)) + bias, scores)
