"""Strategies by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature

from scaler.errors import UserError
from scaler.execution.protocol import Strategy
from scaler.registry import Registry

#: The smallest part of exhaustive's FLOPs that one may ask for.
LEAST_FRACTION = 1e-4

#: A class with ``name`` and ``ask``, made with its options, of which ``budget_fraction`` is the usual one.
STRATEGIES: Registry[Callable[..., Strategy]] = Registry(
    "strategy",
    "scaler.search.strategies",
    {
        "exhaustive": "exhaustive:Exhaustive",
        "halving": "halving:Halving",
        "law": "law:LawOfGrowth",
        "knowledge-gradient": "knowledge_gradient:KnowledgeGradient",
        "racing": "racing:Racing",
        "one-seed": "one_seed:OneSeed",
        "random": "random:Random",
        "tpe": "optuna_baselines:tpe",
        "gp": "optuna_baselines:gp",
        "asha": "optuna_baselines:asha",
        "hyperband": "optuna_baselines:hyperband",
    },
)


def strategy(name: str, **options: float) -> Strategy:
    """A strategy by its name, with its own options where they differ from the usual ones.

    Raises:
        UserError: there is no such strategy, or it has no such option.
    """
    make = STRATEGIES.find(name)
    try:
        return make(**options)
    except TypeError:
        raise UserError(f"strategy {name} has no option {' or '.join(sorted(options))}") from None


def parse_strategy(text: str) -> Strategy:
    """A strategy as a user writes it: a name, or a name and the part of exhaustive's FLOPs it may spend.

    ``racing`` takes the usual part, ``racing@0.2`` a fifth.

    Raises:
        UserError: there is no such strategy, or it decides itself what it spends.
    """
    name, at, fraction = text.strip().partition("@")
    if not at:
        return strategy(name)
    if not re.fullmatch(r"\d*\.?\d+(e-?\d+)?", fraction) or not LEAST_FRACTION <= float(fraction) <= 1:
        raise UserError(
            f"cannot read the strategy {text!r}: write a name, or a name with its part of exhaustive's FLOPs "
            f"from {LEAST_FRACTION:g} to 1, such as racing@0.2"
        )
    if "budget_fraction" not in signature(STRATEGIES.find(name)).parameters:
        raise UserError(
            f"{name} decides itself what it spends, the strategy has no option budget_fraction: "
            f"write {name} without @{fraction}"
        )
    return strategy(name, budget_fraction=float(fraction))
