"""A network as others use it: images in, scores out, with its labels and its normalisation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from scaler.checked import Number, Positive
from scaler.errors import UserError
from scaler.files import write_bytes
from scaler.networks.build import Network, build
from scaler.networks.spec import NetworkSpec
from scaler.networks.spec_files import is_call, text_of
from scaler.networks.yaml_spec import parse

Channels = tuple[Number, Number, Number]
Deviations = tuple[Positive, Positive, Positive]


@dataclass(frozen=True)
class Preprocessing:
    """What turns an image into input, and an output into a word.

    Attributes:
        labels: class names, in the order of the scores; empty where the network was counted only.
        mean, std: of every channel of images in [0, 1], on the training images.
    """

    labels: tuple[str, ...]
    mean: Channels = (0.0, 0.0, 0.0)
    std: Deviations = (1.0, 1.0, 1.0)


_PREPROCESSING = TypeAdapter(Preprocessing)


def read_preprocessing(known: Mapping[str, object]) -> Preprocessing:
    """What a file keeps of it, by the names of its fields.

    Raises:
        KeyError, ValueError: a field is missing, or its values are none.
    """
    try:
        return _PREPROCESSING.validate_python({key: known[key] for key in ("labels", "mean", "std")})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


class Packaged(nn.Module):
    """Images ``[N, 3, R, R]`` in [0, 1] to scores ``[N, classes]``: normalises, then applies the network."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            values = torch.tensor(getattr(preprocessing, name), dtype=torch.float32)
            self.register_buffer(name, values.reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network((images - self.mean) / self.std)
        return scores


def save_weights(
    network: Network, preprocessing: Preprocessing, file: Path, option: str = "--results"
) -> None:
    """Write weights as safetensors; the metadata hold the network's spec, its labels and normalisation.

    ``option`` is what the user can choose another place by.

    Raises:
        UserError: the place cannot be written.
        MachineError: the disk is full.
    """
    metadata = {
        "format": "pt",
        "spec": text_of(network.spec),
        "labels": json.dumps(preprocessing.labels),
        "mean": json.dumps(preprocessing.mean),
        "std": json.dumps(preprocessing.std),
    }
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    # Its save_file has errors of its own, and leaves a file that no colleague may read.
    write_bytes(file, save(tensors, metadata), option)


def load_weights(file: Path, spec: NetworkSpec | None = None) -> tuple[Network, Preprocessing]:
    """A network with its weights, in eval mode, as :func:`save_weights` wrote it.

    Args:
        file: safetensors.
        spec: of the network; without it the file's own.

    Raises:
        UserError: the file is not there, or is not such a file.
    """
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
        preprocessing = read_preprocessing(
            {key: json.loads(metadata[key]) for key in ("labels", "mean", "std")}
        )
        network = build(spec or _own_spec(metadata["spec"], file))
        network.load_state_dict(load_file(file))
    except FileNotFoundError:
        raise UserError(f"there is no {file}: was the network trained?") from None
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file} holds no weights that Scaler wrote: {reason}") from error
    network.eval()
    return network, preprocessing


def _own_spec(text: str, file: Path) -> NetworkSpec:
    """The spec in a file of weights, which must not decide which code runs."""
    if is_call(text):
        raise UserError(
            f"{file} is of a network that only its own code makes: load it from its run, "
            "as load(RUN, phi, proxy=True)"
        )
    return parse(text, str(file))
