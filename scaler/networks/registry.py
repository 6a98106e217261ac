"""Base networks by name. Nothing here imports torch."""

from __future__ import annotations

import difflib

from scaler.errors import UserError
from scaler.networks.families import efficientnet
from scaler.networks.spec import NetworkSpec

#: One line per family: a module with ``ABOUT``, ``SCALING`` and ``bases()``.
FAMILIES = (efficientnet,)


def bases() -> dict[str, NetworkSpec]:
    """Every base network by name, in the order of the families."""
    return {spec.name: spec for family in FAMILIES for spec in family.bases()}


def base(name: str) -> NetworkSpec:
    """The base network of this name.

    Raises:
        UserError: there is none; the message shows the nearest names.
    """
    known = bases()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(known)}"
    raise UserError(f"unknown base network {name!r}; {hint} (`scaler bases` lists all)")
