"""Loading weights that torchvision or timm trained, or Scaler itself, into the matching network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from scaler.errors import UserError
from scaler.files import read_bytes
from scaler.networks.build import Network
from scaler.networks.foreign_names import TRANSLATIONS, plain
from scaler.networks.spec import NetworkSpec

State = Mapping[str, Tensor]

_CLASSIFIER = ("head.classifier.weight", "head.classifier.bias")

#: Where checkpoints keep the state dict, best first (averaged weights are those that timm publishes).
_CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")

#: Bytes of the largest file of weights that is read.
LARGEST_FILE = 8 << 30

#: Bases whose torchvision weights were trained by TensorFlow with its epsilon (torchvision's builders).
_TENSORFLOW_EPSILON = ("effnet-b5", "effnet-b6", "effnet-b7")


@dataclass(frozen=True)
class Loaded:
    """What was loaded.

    Attributes:
        library: whose names the file has.
        tensors: number of tensors that were copied.
        note: conventions of that library which the network now follows, or nothing.
    """

    library: str
    tensors: int
    note: str = ""


def load_weights(
    network: Network,
    source: Path | State,
    *,
    skip_classifier: bool = False,
    tensorflow: bool | None = None,
) -> Loaded:
    """Copy the weights of a torchvision, timm or Scaler state dict into a network.

    The network then computes what the original did: where the same weights are used with another
    epsilon or padding (EfficientNet), the network takes those over. Nothing is copied unless all fits.

    Args:
        network: a built base.
        source: a ``.pth`` file, or a state dict.
        skip_classifier: leave the last layer as it is, for another number of classes.
        tensorflow: the weights are timm's ``tf_efficientnet_*`` ones, which pad as TensorFlow does;
            None tells by the file's name.

    Raises:
        UserError: the file holds no state dict, or its keys or shapes are not the network's; the message
            names every key without a partner.
    """
    where = str(source) if isinstance(source, Path) else "the state dict"
    theirs = _tensors(_read(source) if isinstance(source, Path) else source, where)
    if tensorflow is None:
        tensorflow = isinstance(source, Path) and source.name.startswith("tf_")
    ours = network.state_dict()
    if skip_classifier:
        ours = {key: value for key, value in ours.items() if key not in _CLASSIFIER}
    library, names = _translate(theirs, network)
    if skip_classifier:
        names = {name: key for name, key in names.items() if key not in _CLASSIFIER}
    _check(network.spec, where, theirs, ours, names)
    network.load_state_dict({key: theirs[name] for name, key in names.items() if key}, strict=False)
    return Loaded(library, len(names), _follow(network, library, tensorflow=tensorflow))


def _read(path: Path) -> Any:
    content = read_bytes(path, LARGEST_FILE)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    # A file from elsewhere can make the unpickler fail in any way.
    except Exception as error:
        raise UserError(
            f"{path} is no file of weights that can be read safely: save a state dict by torch.save, or as "
            "safetensors"
        ) from error


def _tensors(content: Any, where: str) -> dict[str, Tensor]:
    """The state dict in a checkpoint, without the prefix of data parallelism."""
    for container in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(container), Mapping):
            content = content[container]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{where} holds no state dict; save one with torch.save(network.state_dict(), FILE)")
    for key, value in content.items():
        if problem := _unusable(value):
            raise UserError(f"{where}: the tensor {key} {problem}; save the plain, trained weights")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _unusable(value: Tensor) -> str:
    """Why a tensor cannot be a network's weights, or nothing."""
    if value.is_meta:
        return "has no values (it is on the meta device)"
    if value.layout != torch.strided:
        return "is sparse"
    # One byte per number, or two numbers in it: what scales them is not in them.
    if value.is_quantized or (value.is_floating_point() and value.dtype.itemsize == 1):
        return "is quantised"
    if value.is_complex():
        return "holds complex numbers"
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        return "holds numbers that are not finite"
    return ""


def _translate(theirs: State, network: Network) -> tuple[str, dict[str, str | None]]:
    """The library whose names fit best, and our key (or None) for each of theirs."""
    exact = {key: key for key in network.state_dict()}
    # A network of the user's own code is one part of the built one.
    exact |= {key.removeprefix("network."): key for key in exact}
    options: list[tuple[str, dict[str, str | None]]] = [
        ("scaler", {name: exact.get(name) for name in theirs})
    ]
    ours = {plain(key): key for key in network.state_dict()}
    for table in TRANSLATIONS:
        options.append(
            (table.library, {name: ours.get(table(name, network.spec) or "") for name in theirs})
        )  # fmt: skip
    return max(options, key=lambda option: sum(key is not None for key in option[1].values()))


def _check(
    spec: NetworkSpec, where: str, theirs: State, ours: State, names: Mapping[str, str | None]
) -> None:
    """Raise one UserError that names every key without a partner and every shape that differs."""
    found = {key: name for name, key in names.items() if key is not None}
    if not found:
        raise UserError(
            f"no key of {where} belongs to {spec.name}: it must be a state dict of that network from "
            "torchvision, timm or Scaler"
        )
    unknown = [name for name, key in names.items() if key is None and not _optional(name)]
    missing = [key for key in ours if key not in found and not _optional(key)]
    wrong = [
        key
        for key, name in found.items()
        if theirs[name].shape != ours[key].shape
        or theirs[name].is_floating_point() != ours[key].is_floating_point()
    ]
    last = theirs.get(found.get(_CLASSIFIER[0], ""))
    # With as many classes as here, the last layer differs in something else.
    given = len(last) if last is not None and last.dim() == 2 else spec.classes
    if given != spec.classes and not unknown and not missing and set(wrong) <= set(_CLASSIFIER):
        raise UserError(
            f"{where} is for {given} classes and {spec.name} here for {spec.classes}: build the network for "
            f"{given} classes, or leave out the last layer (skip_classifier)"
        )
    problems = {
        "keys of the file that the network lacks": _by_module(unknown),
        "keys of the network that the file lacks": _by_module(missing),
        "other shapes or types": [
            f"{found[key]} {_kind(theirs[found[key]])} for {_kind(ours[key])}" for key in wrong
        ],
    }
    told = "; ".join(f"{about}: {', '.join(keys)}" for about, keys in problems.items() if keys)
    if told:
        raise UserError(
            f"{where} does not fit {spec.name} ({len(found) - len(wrong)} of {len(theirs)} tensors fit; is "
            f"it another network, or scaled otherwise?): {told}"
        )


def _kind(value: Tensor) -> str:
    shape = tuple(value.shape)
    return (
        f"{shape}" if value.is_floating_point() else f"{shape} of {str(value.dtype).removeprefix('torch.')}"
    )


def _optional(key: str) -> bool:
    """Counts of batches, which old files lack and nothing reads."""
    return key.endswith("num_batches_tracked")


def _by_module(keys: list[str]) -> list[str]:
    """Keys with those of one module together, as ``bn1.{weight, bias}``."""
    modules: dict[str, list[str]] = {}
    for key in keys:
        module, _, parameter = key.rpartition(".")
        modules.setdefault(module, []).append(parameter)
    return [
        f"{module}.{found[0] if len(found) == 1 else '{' + ', '.join(found) + '}'}"
        for module, found in modules.items()
    ]


def _follow(network: Network, library: str, *, tensorflow: bool) -> str:
    """Take over the epsilon and padding that the weights were trained with; they are in no state dict.

    Only EfficientNet's differ: TensorFlow normalises with 1e-3 and pads the right and bottom edge first;
    PyTorch trainings of the same names use 1e-5 and pad evenly.
    """
    if network.spec.family != "efficientnet" or library == "scaler":
        return ""
    from_tensorflow = library == "torchvision" and network.spec.name in _TENSORFLOW_EPSILON
    epsilon = 1e-3 if tensorflow or from_tensorflow else 1e-5
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = epsilon
        elif tensorflow and isinstance(part, nn.Conv2d) and part.stride[0] > 1:
            part.padding = (0, 0)
            part.register_forward_pre_hook(_pad_as_tensorflow)
    network.spec = replace(network.spec, style=replace(network.spec.style, norm_eps=epsilon))
    return f"epsilon {epsilon:g}, {'TensorFlow' if tensorflow else 'even'} padding"


def _pad_as_tensorflow(conv: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Pad so that the output has ``ceil(size / stride)`` pixels, the odd pixel at the end."""
    assert isinstance(conv, nn.Conv2d)
    sides: list[int] = []
    for axis in (1, 0):
        size, kernel, stride = inputs[0].shape[2 + axis], conv.kernel_size[axis], conv.stride[axis]
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        sides += [total // 2, total - total // 2]
    return functional.pad(inputs[0], sides)
