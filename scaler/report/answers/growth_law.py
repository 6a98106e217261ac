"""What growth laws answer, in sentences and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from scaler.curves.growth_law import CONFIDENCE, GrowthLaw, Interval, NoLaw
from scaler.errors import UserError
from scaler.scaling.budget import format_count, parse_budget

Laws = Mapping[str, GrowthLaw | NoLaw]

#: A law is asked for FLOPs only where its error falls this surely.
_SURE = 0.95


def law_lines(laws: Laws) -> Iterator[str]:
    """What one more doubling of FLOPs is expected to give each policy; why there is no law, once."""
    for policy, law in laws.items():
        if isinstance(law, NoLaw):
            continue
        last, twice = law.accuracy(law.largest), law.accuracy(2 * law.largest, measured=True)
        yield (
            f"{policy}: one doubling more, to {format_count(2 * law.largest)} FLOPs, is expected to reach "
            f"{_percent(twice)} after {100 * last.middle:.1f} (law of the error, {CONFIDENCE:.0%} bounds)"
        )
    for reason in dict.fromkeys(law.reason for law in laws.values() if isinstance(law, NoLaw)):
        yield f"No law of growth: {reason}."


def law_rows(laws: Laws) -> list[dict[str, Any]]:
    """The same as plain data: what one more doubling is expected to reach, or why that is not told."""
    rows: list[dict[str, Any]] = []
    for policy, law in laws.items():
        if isinstance(law, NoLaw):
            rows.append({"policy": policy, "reason": law.reason})
        else:
            flops = 2 * law.largest
            found = law.accuracy(flops, measured=True)
            rows.append({"policy": policy, "flops": flops, **_fields("accuracy", found)})
    return rows


def predict(laws: Laws, flops: str, base_flops: float) -> list[dict[str, Any]]:
    """The accuracy that every policy's law expects of a network, such as ``10x`` of the base or ``4G``.

    Raises:
        UserError: no law reaches so far.
    """
    wanted = parse_budget(flops).flops(base_flops)
    rows, why = [], []
    for policy, law in laws.items():
        if isinstance(law, NoLaw):
            why.append(f"{policy}: {law.reason}")
        elif not law.smallest * 0.97 <= wanted <= law.reach * 1.03:
            below = wanted < law.smallest
            end = f"below {format_count(law.smallest)}" if below else f"beyond {format_count(law.reach)}"
            why.append(
                f"{policy} was measured from {format_count(law.smallest)} to {format_count(law.largest)}, "
                f"which says nothing {end}"
            )
        else:
            found = law.accuracy(wanted, measured=True)
            beyond = wanted > 1.03 * law.largest
            rows.append({"policy": policy, "flops": wanted, **_fields("accuracy", found), "beyond": beyond})
    if not rows:
        raise UserError(
            f"--predict {flops} ({format_count(wanted)} FLOPs) cannot be answered: {'; '.join(why)}. "
            "Scale to a --phi that reaches there, with two seeds or more"
        )
    return rows


def for_accuracy(laws: Laws, text: str) -> list[dict[str, Any]]:
    """The FLOPs at which every policy's law reaches an accuracy, such as ``85%``.

    A bound beyond what the law reaches is none (``None``).

    Raises:
        UserError: the text is no accuracy, or no law reaches it within what its networks support.
    """
    accuracy = parse_accuracy(text)
    rows, why = [], []
    for policy, law in laws.items():
        if isinstance(law, NoLaw):
            why.append(f"{policy}: {law.reason}")
            continue
        found = law.flops_for(accuracy)
        if law.falls < _SURE:
            why.append(f"{policy}: it is not certain that its error falls with FLOPs at all")
        elif found.middle < law.smallest:
            why.append(f"{policy} has it at {format_count(law.smallest)} FLOPs already")
        elif found.middle > law.reach:
            best = law.accuracy(law.reach)
            why.append(
                f"{policy} is expected to reach {_percent(best)} at {format_count(law.reach)} FLOPs, and "
                "nothing can be said beyond"
            )
        else:
            high = found.high if found.high <= law.reach else None
            bounded = {**_fields("flops", found), "flops_high": high}
            rows.append({"policy": policy, "accuracy": accuracy, **bounded})
    if not rows:
        raise UserError(f"--for-accuracy {text} cannot be answered: {'; '.join(why)}")
    return rows


def parse_accuracy(text: str) -> float:
    """Read ``85%``, ``85`` or ``0.85``.

    Raises:
        UserError: the text is no accuracy between 0 and 100 %.
    """
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    fraction = value / 100 if text.endswith("%") or value > 1 else value
    if not 0 < fraction < 1:
        raise UserError(f"cannot read the accuracy {text!r}: write such as 85% or 0.85")
    return fraction


def prediction_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Predicted accuracies in sentences."""
    for row in rows:
        bounds = f"{100 * row['accuracy_low']:.1f} to {100 * row['accuracy_high']:.1f}"
        kind = "beyond what was measured" if row["beyond"] else "between what was measured"
        yield (
            f"{row['policy']} at {format_count(row['flops'])} FLOPs: {100 * row['accuracy']:.1f} % "
            f"({CONFIDENCE:.0%} bounds {bounds}; {kind})"
        )


def flops_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """FLOPs for an accuracy in sentences."""
    for row in rows:
        low, high = format_count(row["flops_low"]), row["flops_high"]
        bounds = f"{low} to {format_count(high)}" if high else f"{low} or more, with no upper bound"
        yield (
            f"{row['policy']} reaches {100 * row['accuracy']:.1f} % at {format_count(row['flops'])} FLOPs "
            f"({CONFIDENCE:.0%} bounds {bounds})"
        )


def _fields(name: str, found: Interval) -> dict[str, float]:
    return {name: found.middle, f"{name}_low": found.low, f"{name}_high": found.high}


def _percent(found: Interval) -> str:
    return f"{100 * found.middle:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}] %"
