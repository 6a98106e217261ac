"""Base networks by name. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from scaler.errors import UserError
from scaler.networks import python_network, yaml_spec
from scaler.networks.spec import NetworkSpec
from scaler.registry import Registry, unknown


class Family(Protocol):
    """What a file in :mod:`scaler.networks.families` holds: what it is, how it scales, its networks."""

    ABOUT: str
    SCALING: str

    def bases(self) -> Iterable[NetworkSpec]: ...


FAMILIES: Registry[Family] = Registry(
    "family",
    "scaler.networks.families",
    {
        "efficientnet": "efficientnet",
        "resnet": "resnet",
        "resnext": "resnext",
        "senet": "senet",
        "densenet": "densenet",
        "mobilenet": "mobilenet",
        "googlenet": "googlenet",
        "inception": "inception",
        "vgg": "vgg",
        "resnet_cifar": "resnet_cifar",
    },
)


def bases() -> dict[str, NetworkSpec]:
    """Every base network by name, in the order of the families."""
    return {spec.name: spec for family in FAMILIES.values() for spec in family.bases()}


def base(name: str) -> NetworkSpec:
    """The base of this name, or the user's own: ``FILE.yaml``, ``module:function`` or ``FILE.py:function``.

    Raises:
        UserError: there is none; the message shows the nearest names, or what is wrong with the user's.
    """
    if python_network.is_target(name):
        return python_network.python_network(name)
    if yaml_spec.is_file(name):
        return yaml_spec.read(Path(name))
    known = bases()
    if name in known:
        return known[name]
    raise UserError(f"{unknown('base network', name, known)} (`scaler bases` lists all)")
