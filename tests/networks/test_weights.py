"""Weights of others: every key finds its partner, and the network computes what the original does."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaler.errors import UserError
from scaler.networks.build import Network, build
from scaler.networks.registry import base
from scaler.networks.weights import load_weights

#: Keys and shapes of ``state_dict()`` in torchvision 0.29.2 and timm 1.0.31, by ``library/model``.
PUBLISHED: dict[str, Any] = json.loads(
    gzip.decompress((Path(__file__).parent / "keys" / "state_dict_shapes.json.gz").read_bytes())
)


def random_state(model: str, seed: int = 0) -> dict[str, Tensor]:
    """Weights with the names and shapes of a published model, that keep signals at about one."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in PUBLISHED[model]["shapes"].items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
        elif key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
            state[key] = torch.rand(shape, generator=generator) + 0.5
        else:
            fan_in = max(1, torch.Size(shape[1:]).numel())
            state[key] = torch.randn(shape, generator=generator) / fan_in**0.5
    return state


def loaded(name: str, state: dict[str, Tensor], **options: bool) -> Network:
    network = build(base(name))
    load_weights(network, state, **options)
    return network.eval()


def by_size(model: str) -> object:
    """Large networks wait for the slow tests."""
    large = len(PUBLISHED[model]["shapes"]) > 400
    return pytest.param(model, marks=pytest.mark.slow) if large else model


def zeros(key: str, shape: Sequence[int]) -> Tensor:
    """A tensor of its published shape and type that takes no memory."""
    kind = torch.int64 if key.endswith("num_batches_tracked") else torch.float32
    return torch.zeros((), dtype=kind).expand(shape)


@pytest.mark.parametrize("model", [by_size(model) for model in PUBLISHED])
def test_every_published_key_finds_its_partner(model: str) -> None:
    about = PUBLISHED[model]
    network = Network(base(about["base"]))
    state = {key: zeros(key, shape) for key, shape in about["shapes"].items()}
    result = load_weights(network, state)
    assert result.tensors == len(state) == len(network.state_dict())
    assert result.library in model.split("/")[0] or "or" in result.library


class Reference:
    """The originals written anew as functions of their state dicts, with torch's functions alone."""

    def __init__(self, state: dict[str, Tensor], epsilon: float, tensorflow: bool = False) -> None:
        self.state, self.epsilon, self.tensorflow = state, epsilon, tensorflow

    def conv(self, x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        kernel = weight.shape[-1]
        if self.tensorflow and stride == 2:
            # Even sizes, stride 2, odd kernels: TensorFlow's "SAME" pads k - 2 pixels, the odd one last.
            x = F.pad(x, [(kernel - 2) // 2, (kernel - 1) // 2] * 2)
            return F.conv2d(x, weight, bias, stride, 0, groups=groups)
        return F.conv2d(x, weight, bias, stride, kernel // 2, groups=groups)

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            self.state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, eps=self.epsilon)

    def excite(self, x: Tensor, reduce: str, expand: str, act: Any) -> Tensor:
        hidden = act(self.conv(x.mean((2, 3), keepdim=True), reduce))
        return x * torch.sigmoid(self.conv(hidden, expand))

    def classify(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x.mean((2, 3)), self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def resnet(self, x: Tensor, depths: tuple[int, ...], convs: int, groups: int = 1) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.conv(x, "conv1", 2), "bn1")), 3, 2, 1)
        for stage, depth in enumerate(depths, 1):
            for block in range(depth):
                at = f"layer{stage}.{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                strided = 2 if convs == 3 else 1  # v1.5: the 3x3 convolution of a bottleneck
                y = x
                for i in range(1, convs + 1):
                    middle = groups if convs == 3 and i == 2 else 1
                    y = self.conv(y, f"{at}.conv{i}", stride if i == strided else 1, middle)
                    y = self.norm(y, f"{at}.bn{i}")
                    y = F.relu(y) if i < convs else y
                if f"{at}.se.fc1.weight" in self.state:
                    y = self.excite(y, f"{at}.se.fc1", f"{at}.se.fc2", F.relu)
                if f"{at}.downsample.0.weight" in self.state:
                    x = self.norm(self.conv(x, f"{at}.downsample.0", stride), f"{at}.downsample.1")
                x = F.relu(x + y)
        return self.classify(x, "fc")

    def timm_efficientnet(self, x: Tensor) -> Tensor:
        strides = (1, 2, 2, 2, 1, 2, 1)
        x = F.silu(self.norm(self.conv(x, "conv_stem", 2), "bn1"))
        for stage, stage_stride in enumerate(strides):
            block = 0
            while f"blocks.{stage}.{block}.conv_dw.weight" in self.state:
                at, stride = f"blocks.{stage}.{block}", stage_stride if block == 0 else 1
                y, norms = x, iter(("bn1", "bn2", "bn3"))
                if stage:
                    y = F.silu(self.norm(self.conv(y, f"{at}.conv_pw"), f"{at}.{next(norms)}"))
                y = self.conv(y, f"{at}.conv_dw", stride, groups=y.shape[1])
                y = F.silu(self.norm(y, f"{at}.{next(norms)}"))
                y = self.excite(y, f"{at}.se.conv_reduce", f"{at}.se.conv_expand", F.silu)
                y = self.conv(y, f"{at}.{'conv_pwl' if stage else 'conv_pw'}")
                y = self.norm(y, f"{at}.{next(norms)}")
                x = x + y if x.shape == y.shape else y
                block += 1
        return self.classify(F.silu(self.norm(self.conv(x, "conv_head"), "bn2")), "classifier")

    def mobilenet_v2(self, x: Tensor) -> Tensor:
        strided = (0, 2, 4, 7, 14)
        x = F.relu6(self.norm(self.conv(x, "features.0.0", 2), "features.0.1"))
        for index in range(1, 18):
            at, y, step = f"features.{index}.conv", x, 0
            if index > 1:
                y, step = F.relu6(self.norm(self.conv(y, f"{at}.0.0"), f"{at}.0.1")), 1
            y = self.conv(y, f"{at}.{step}.0", 2 if index in strided else 1, groups=y.shape[1])
            y = F.relu6(self.norm(y, f"{at}.{step}.1"))
            y = self.norm(self.conv(y, f"{at}.{step + 1}"), f"{at}.{step + 2}")
            x = x + y if x.shape == y.shape else y
        return self.classify(
            F.relu6(self.norm(self.conv(x, "features.18.0"), "features.18.1")), "classifier.1"
        )

    def densenet(self, x: Tensor, depths: tuple[int, ...]) -> Tensor:
        x = F.relu(self.norm(self.conv(x, "features.conv0", 2), "features.norm0"))
        x = F.max_pool2d(x, 3, 2, 1)
        for stage, depth in enumerate(depths, 1):
            for layer in range(1, depth + 1):
                at = f"features.denseblock{stage}.denselayer{layer}"
                y = self.conv(F.relu(self.norm(x, f"{at}.norm1")), f"{at}.conv1")
                y = self.conv(F.relu(self.norm(y, f"{at}.norm2")), f"{at}.conv2")
                x = torch.cat([x, y], 1)
            if stage < len(depths):
                at = f"features.transition{stage}"
                x = F.avg_pool2d(self.conv(F.relu(self.norm(x, f"{at}.norm")), f"{at}.conv"), 2)
        return self.classify(F.relu(self.norm(x, "features.norm5")), "classifier")


RESNET_50 = (3, 4, 6, 3)


@pytest.mark.parametrize(
    ("model", "method", "arguments", "epsilon"),
    [
        ("torchvision/resnet18", "resnet", ((2, 2, 2, 2), 2), 1e-5),
        ("torchvision/resnext50_32x4d", "resnet", (RESNET_50, 3, 32), 1e-5),
        ("timm/seresnet50", "resnet", (RESNET_50, 3), 1e-5),
        ("timm/efficientnet_b1", "timm_efficientnet", (), 1e-5),
        ("timm/tf_efficientnet_b0", "timm_efficientnet", (), 1e-3),
        ("torchvision/mobilenet_v2", "mobilenet_v2", (), 1e-5),
        ("torchvision/densenet121", "densenet", ((6, 12, 24, 16),), 1e-5),
    ],
)
def test_outputs_equal_the_originals(
    model: str, method: str, arguments: tuple[Any, ...], epsilon: float
) -> None:
    state, tensorflow = random_state(model), "tf_" in model
    network = loaded(PUBLISHED[model]["base"], state, tensorflow=tensorflow)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = getattr(Reference(state, epsilon, tensorflow), method)(images, *arguments)
        given = network(images)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def installed(library: str) -> Any:
    """torchvision or timm; their wheels do not import beside every build of torch."""
    try:
        return __import__(library)
    except Exception as error:
        pytest.skip(f"{library} cannot be imported here: {error}")


@pytest.mark.parametrize("model", ["torchvision/resnet50", "torchvision/efficientnet_b0", "timm/seresnet50"])
def test_outputs_equal_those_of_the_library(model: str) -> None:
    library, _, name = model.partition("/")
    module = installed(library)
    original = module.models.get_model(name) if library == "torchvision" else module.create_model(name)
    for part in original.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_var is not None
            assert part.running_mean is not None
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.normal_(part.running_mean, std=0.1)
    network = loaded(PUBLISHED[model]["base"], original.state_dict())
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(network(images), original.eval()(images), rtol=1e-5, atol=1e-5)


def test_a_file_of_a_checkpoint_is_read(tmp_path: Path) -> None:
    state = random_state("torchvision/resnet18")
    file = tmp_path / "checkpoint.pth"
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, file)
    network = build(base("resnet-18"))
    load_weights(network, file)
    assert torch.equal(
        network.state_dict()["stages.3.1.body.second.conv.weight"], state["layer4.1.conv2.weight"]
    )


def test_tensorflow_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    state = random_state("timm/tf_efficientnet_b0")
    for name, padding in (("tf_efficientnet_b0.pth", (0, 0)), ("efficientnet_b0.pth", (1, 1))):
        torch.save(state, tmp_path / name)
        network = build(base("effnet-b0"))
        load_weights(network, tmp_path / name)
        stem = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
        assert stem.padding == padding


def test_names_with_dots_in_published_densenet_files() -> None:
    shapes = PUBLISHED["torchvision/densenet121"]["shapes"]
    dotted = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", key): shape for key, shape in shapes.items()}
    assert dotted.keys() != shapes.keys()
    state = {key: zeros(key, shape) for key, shape in dotted.items()}
    result = load_weights(Network(base("densenet-121")), state)
    assert result.tensors == len(shapes)


def test_own_weights_load_again(tmp_path: Path) -> None:
    network, other = build(base("resnet-20")), build(base("resnet-20"))
    torch.save(network.state_dict(), tmp_path / "own.pth")
    assert load_weights(other, tmp_path / "own.pth").library == "scaler"
    assert torch.equal(
        other.state_dict()["head.classifier.weight"], network.state_dict()["head.classifier.weight"]
    )


def test_every_unmatched_key_and_shape_is_named_and_nothing_is_copied() -> None:
    state = random_state("torchvision/resnet18")
    state["strange.weight"] = torch.zeros(1)
    del state["layer1.0.bn1.bias"]
    del state["bn1.num_batches_tracked"]  # old files lack it, and nothing reads it
    del state["layer1.1.bn1.weight"], state["layer1.1.bn1.bias"]
    state["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    network = build(base("resnet-18"))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_weights(network, state)
    message = str(caught.value)
    assert "strange.weight" in message
    assert "stages.0.0.body.first.norm.bias" in message
    assert "conv1.weight (64, 3, 3, 3) for (64, 3, 7, 7)" in message
    assert "stages.0.1.body.first.norm.{weight, bias}" in message
    assert "num_batches_tracked" not in message
    assert "117 of 119 tensors fit" in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_another_number_of_classes_is_said_and_can_be_left_out() -> None:
    state = random_state("torchvision/resnet18")
    network = build(base("resnet-18").with_classes(10))
    with pytest.raises(UserError, match="1000 classes and resnet-18 here for 10"):
        load_weights(network, state)
    classifier = network.state_dict()["head.classifier.weight"].clone()
    load_weights(network, state, skip_classifier=True)
    assert torch.equal(network.state_dict()["head.classifier.weight"], classifier)
    assert torch.equal(network.state_dict()["stem.0.0.conv.weight"], state["conv1.weight"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "holds no state dict"),
        ([1, 2], "holds no state dict"),
        ({"a.weight": torch.zeros(1)}, "no key of .* belongs to resnet-18"),
        (b"no pickle at all", "cannot be read safely|no file of weights"),
        (None, "there is no file"),
    ],
)
def test_files_without_weights_are_refused(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UserError, match=message):
        load_weights(build(base("resnet-18")), file)


@pytest.mark.parametrize("shape", [(), (10,), (10, 32), (10, 64, 1)])
def test_a_last_layer_of_another_shape_is_not_said_to_have_other_classes(shape: tuple[int, ...]) -> None:
    network = build(base("resnet-20"))
    state = dict(network.state_dict()) | {"head.classifier.weight": torch.zeros(shape)}
    with pytest.raises(UserError, match=r"other shapes or types: head.classifier.weight"):
        load_weights(network, state)


FLOATS = [kind for kind in vars(torch).values() if isinstance(kind, torch.dtype) and kind.is_floating_point]


@pytest.mark.parametrize("kind", sorted({*FLOATS, torch.int8, torch.complex64}, key=str), ids=str)
def test_weights_of_any_type_are_taken_or_refused_in_one_sentence(kind: torch.dtype) -> None:
    """Of numbers of 8 bits and fewer, torch cannot tell whether they are finite."""
    network = build(base("resnet-20"))
    state = dict(network.state_dict())
    key = "head.classifier.weight"
    shape = state[key].shape
    state[key] = torch.zeros(*shape, kind.itemsize, dtype=torch.uint8).view(kind).reshape(shape)
    if kind.is_floating_point and kind.itemsize > 1:
        load_weights(network, state)
        assert (network.state_dict()[key] == 0).all()
    else:
        refused = (
            r"complex numbers|is quantised|other shapes or types: head.classifier.weight \(10, 64\) of int8"
        )
        with pytest.raises(UserError, match=refused):
            load_weights(network, state)


class Harmful:
    """Pickles to a call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code was run",))


def test_a_file_never_runs_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Harmful()}, tmp_path / "weights.pth")
    with pytest.raises(UserError):
        load_weights(build(base("resnet-18")), tmp_path / "weights.pth")
    assert "code was run" not in capsys.readouterr().out
