"""Base networks by name. Nothing here imports torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from scaler.errors import UserError
from scaler.networks import python_network, yaml_spec
from scaler.networks.spec import NetworkSpec


class Family(Protocol):
    """What a file in :mod:`scaler.networks.families` holds: what it is, how it scales, its networks."""

    ABOUT: str
    SCALING: str

    def bases(self) -> Iterable[NetworkSpec]: ...


#: One line per family.
FAMILIES: tuple[Family, ...] = tuple(
    cast(Family, import_module(f"scaler.networks.families.{name}"))
    for name in (
        "efficientnet",
        "resnet",
        "resnext",
        "senet",
        "densenet",
        "mobilenet",
        "googlenet",
        "inception",
        "vgg",
        "resnet_cifar",
    )
)


def bases() -> dict[str, NetworkSpec]:
    """Every base network by name, in the order of the families."""
    return {spec.name: spec for family in FAMILIES for spec in family.bases()}


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
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(known)}"
    raise UserError(f"unknown base network {name!r}; {hint} (`scaler bases` lists all)")
