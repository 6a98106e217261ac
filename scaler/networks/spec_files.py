"""A network in the files of a run: its layers as YAML or, of a user's own code, how that is called.

A network file given as a base holds layers alone (:mod:`scaler.networks.yaml_spec`): one that came
from elsewhere must not decide which code runs.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from scaler.checked import Number, Whole
from scaler.files import read_text
from scaler.networks import yaml_spec
from scaler.networks.python_network import PythonNetwork
from scaler.networks.spec import Head, NetworkSpec
from scaler.yaml_files import LARGEST, parse, parse_model


class _Call(BaseModel):
    """How a user's function is called, and what the network is called."""

    model_config = ConfigDict(extra="forbid")

    name: str
    target: str
    depth_multiplier: Number
    width_multiplier: Number
    resolution: Whole
    classes: Whole
    regularised: bool


def text_of(spec: NetworkSpec) -> str:
    """The YAML text of a network; :func:`read` gives the same network back."""
    if not isinstance(spec, PythonNetwork):
        return yaml_spec.write(spec)
    call = {key: value for key, value in asdict(spec).items() if key in _Call.model_fields}
    text: str = yaml.safe_dump(_Call(**call).model_dump(), sort_keys=False, allow_unicode=True)
    return text


def is_call(text: str) -> bool:
    """Whether the text of a network only names a user's own code."""
    return "target" in parse(text, "the network").content


def read(path: Path) -> NetworkSpec:
    """Read a network from a run's file.

    Raises:
        UserError: the file cannot be read, or a key, a value or the network is wrong; with line and key.
    """
    text = read_text(path, LARGEST)
    if not is_call(text):
        return yaml_spec.parse(text, str(path))
    call = parse_model(text, _Call, str(path))
    return PythonNetwork(family="user", stem=(), stages=(), head=Head(), **call.model_dump())
