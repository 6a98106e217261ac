"""Strategies by name. A new one is a class with ``name`` and ``ask``, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scaler.errors import UserError
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.strategies.halving import Halving
from scaler.search.types import Strategy

STRATEGIES: Mapping[str, Callable[..., Strategy]] = MappingProxyType(
    {
        "exhaustive": Exhaustive,
        "halving": Halving,
    }
)


def strategy(name: str, **options: float) -> Strategy:
    """A strategy by its name, with its own options where they differ from the usual ones.

    Raises:
        UserError: there is no such strategy, or it has no such option.
    """
    if name not in STRATEGIES:
        raise UserError(f"there is no strategy '{name}': choose one of {', '.join(sorted(STRATEGIES))}.")
    try:
        return STRATEGIES[name](**options)
    except TypeError:
        raise UserError(f"strategy {name} has no option {' or '.join(sorted(options))}.") from None
