"""Strategies by name. A new one is a class with ``name`` and ``ask``, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from scaler.errors import UserError
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.strategies.halving import Halving
from scaler.search.strategies.knowledge_gradient import KnowledgeGradient
from scaler.search.strategies.one_seed import OneSeed
from scaler.search.strategies.racing import Racing
from scaler.search.strategies.random import Random
from scaler.search.types import Strategy


def _peer(name: Literal["tpe", "gp", "asha", "hyperband"]) -> Callable[..., Strategy]:
    """A peer from Optuna, which takes a second to import and so is not until it is asked for."""

    def make(**options: float) -> Strategy:
        from scaler.search.strategies.optuna_peers import OptunaPeer

        return OptunaPeer(name, **options)

    return make


STRATEGIES: Mapping[str, Callable[..., Strategy]] = MappingProxyType(
    {
        "exhaustive": Exhaustive,
        "halving": Halving,
        "knowledge-gradient": KnowledgeGradient,
        "racing": Racing,
        "one-seed": OneSeed,
        "random": Random,
        "tpe": _peer("tpe"),
        "gp": _peer("gp"),
        "asha": _peer("asha"),
        "hyperband": _peer("hyperband"),
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


def parse_strategy(text: str) -> Strategy:
    """A strategy as a user writes it: a name, or a name and the part of exhaustive's FLOPs it may spend.

    ``racing`` takes the usual part, ``racing@0.2`` a fifth.

    Raises:
        UserError: there is no such strategy, or it decides itself what it spends.
    """
    name, at, spend = text.strip().partition("@")
    try:
        return strategy(name, **({"spend": float(spend)} if at else {}))
    except UserError:
        raise
    except ValueError:
        raise UserError(
            f"cannot read the strategy {text!r}: write a name, or a name with its spend such as racing@0.2"
        ) from None
