"""Pareto fronts: the networks that no other beats on every objective at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaler.errors import UserError

#: What one wants less of; a unit may follow, as in ``latency_ms``.
COSTS = ("flops", "macs", "params", "activations", "memory", "latency")

#: Those that are measured on a device, and so on request only.
MEASURED = ("memory", "latency")

#: Standard errors by which an accuracy must lie above another to be called better: one-sided, 95 %.
SURE = 1.645


@dataclass(frozen=True)
class Objective:
    """A column of a table, and whether more of it is better."""

    name: str
    maximised: bool = False


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Read ``accuracy,flops``: accuracy is maximised, costs are minimised.

    Raises:
        UserError: a word is no objective, or there are not two.
    """
    names = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for name in names:
        if not is_objective(name):
            raise UserError(f"{name!r} is no objective: choose from accuracy, {', '.join(COSTS)}")
    if len(names) < 2:
        raise UserError(f"{text!r} is not two objectives: write two or more, such as accuracy,flops")
    return tuple(Objective(name, maximised=name == "accuracy") for name in names)


def is_objective(name: str) -> bool:
    """Whether a column of this name can be an objective."""
    return name == "accuracy" or name.split("_")[0] in COSTS


def resolve(objectives: Sequence[Objective], frame: pd.DataFrame, where: str) -> tuple[Objective, ...]:
    """The objectives under their columns' full names: ``latency`` finds ``latency_ms``.

    Raises:
        UserError: ``where`` (a run) has no such column.
    """
    found = []
    for objective in objectives:
        columns = [c for c in frame.columns if c == objective.name or c.startswith(f"{objective.name}_")]
        if not columns:
            there = ", ".join(c for c in frame.columns if is_objective(c))
            how = "; --measure finds it out" if objective.name in MEASURED else ""
            raise UserError(
                f"{where} has no column for the objective {objective.name!r}; it has {there}{how}"
            )
        name = objective.name if objective.name in columns else columns[0]
        found.append(Objective(name, objective.maximised))
    return tuple(found)


def front(frame: pd.DataFrame, objectives: Sequence[Objective], *, strict: bool = False) -> NDArray[np.bool_]:
    """Which rows are on the Pareto front: no other is as good on all objectives and better on one.

    Another is as good in accuracy only if that is significant: it lies :data:`SURE` standard errors of the
    difference above, by ``accuracy_stderr``. Where neither has a standard error, and for costs, figures are
    taken as they are; ``strict`` does so everywhere. Equal rows are all on the front; a row that lacks a
    value never is. Compares every pair, ``O(n^2)`` in time and ``O(n)`` in memory.
    """
    signs = np.array([-1.0 if objective.maximised else 1.0 for objective in objectives])
    values = frame[[objective.name for objective in objectives]].to_numpy(dtype=float, na_value=np.nan)
    costs: NDArray[np.float64] = values * signs
    errors = np.zeros_like(costs)
    if not strict:
        for place, objective in enumerate(objectives):
            if (name := f"{objective.name}_stderr") in frame:
                errors[:, place] = np.nan_to_num(frame[name].to_numpy(dtype=float, na_value=np.nan))
    known = ~np.isnan(costs).any(axis=1)
    # A comparison with NaN is false, so rows that lack a value beat nothing.
    beaten = [
        bool(((costs <= row - SURE * np.hypot(errors, error)).all(axis=1) & (costs < row).any(axis=1)).any())
        for row, error in zip(costs, errors, strict=True)
    ]
    return known & ~np.array(beaten, dtype=bool)
