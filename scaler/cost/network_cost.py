"""The cost of any network: in closed form where it has layers to see, else as fvcore traces it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache

from scaler.cost.closed_form import closed_form
from scaler.cost.counts import Cost
from scaler.networks.python_network import PythonNetwork
from scaler.networks.scale import identity
from scaler.networks.spec import NetworkSpec


def cost(spec: NetworkSpec) -> Cost:
    """Cost of a network at its resolution; fvcore counts one that is the user's own code.

    Raises:
        UserError: the resolution is too small for the network's strides, or the user's code fails.
    """
    if isinstance(spec, PythonNetwork):
        return _traced(_Own(identity(spec), spec))
    return closed_form(spec)


@dataclass(frozen=True)
class _Own:
    """A network of the user's own code, equal to all that it realises equally."""

    identity: Hashable
    spec: PythonNetwork = field(compare=False)


@lru_cache(maxsize=4096)
def _traced(own: _Own) -> Cost:
    """The one cost without a closed form; only it needs torch, so the import waits until then."""
    from scaler.cost.counting import count

    return count(own.spec)
