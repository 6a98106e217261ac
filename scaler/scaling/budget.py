"""Budgets as a user writes them: FLOPs as ``2x`` of the base, ``800M`` or ``1.2G``, and time as ``10m``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scaler.errors import UserError

_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_PATTERN = re.compile(r"((?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*([xKMGBT]?)", re.IGNORECASE | re.ASCII)
#: More than any network or machine has of anything.
_LARGEST = 1e24
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: Ten years.
_LONGEST = 3650 * 86400.0
#: FLOPs below which a budget is a factor that lacks its x.
_FEWEST = 1000
#: A budget further from the base than this is no growth of it.
LARGEST_RATIO = 1000
#: One nearer to the base than this asks for no other network.
NO_CHANGE = 0.05


@dataclass(frozen=True)
class Budget:
    """FLOPs allowed at phi = 1: a factor on the base's (``relative``), or a number of FLOPs."""

    value: float
    relative: bool

    def flops(self, base_flops: float) -> float:
        """The budget in FLOPs for a base that costs ``base_flops``."""
        return self.value * base_flops if self.relative else self.value

    def ratio(self, base_flops: float) -> float:
        """The budget as a factor on the base's FLOPs."""
        return self.value if self.relative else self.value / base_flops

    def __str__(self) -> str:
        if self.relative:
            return f"{self.value:g}x"
        unit = next((unit for unit in "TGMK" if self.value >= _UNITS[unit]), "")
        return f"{self.value / _UNITS[unit]:g}{unit}"


def parse_budget(text: str) -> Budget:
    """Read ``2x``, ``1.5x``, ``800M``, ``1.2G``, ``1e9`` (M = 1e6, G or B = 1e9, T = 1e12).

    Raises:
        UserError: the text is no budget.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None or not 0 < float(match[1]) < _LARGEST:
        raise UserError(
            f"cannot read the budget {_brief(text)}: write a factor on the base such as 2x, "
            "or FLOPs such as 800M, 1.2G or 1e9"
        )
    unit = match[2].upper()
    if unit == "X":
        return Budget(float(match[1]), relative=True)
    if float(match[1]) * _UNITS[unit] < _FEWEST:
        raise UserError(
            f"the budget {_brief(text)} is {match[1]} FLOPs, which no network runs on: write "
            f"{match[1]}x for a factor on the base, or FLOPs such as 800M"
        )
    return Budget(float(match[1]) * _UNITS[unit], relative=False)


def check_ratio(budget: str, ratio: float, base: str = "the base") -> float:
    """A budget as a factor on the FLOPs of a base, if networks of it can be searched.

    Raises:
        UserError: it is the base's own FLOPs, within :data:`NO_CHANGE`, or beyond :data:`LARGEST_RATIO`.
    """
    if abs(ratio - 1) < NO_CHANGE:
        raise UserError(
            f"the budget {budget} is what {base} itself costs: "
            "ask for more, such as 2x, or for less, such as 0.5x"
        )
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        raise UserError(
            f"the budget {_brief(budget)[1:-1]} is {ratio:.3g} times what {base} costs: "
            f"ask for {1 / LARGEST_RATIO:g}x to {LARGEST_RATIO}x"
        )
    return ratio


def parse_count(text: str | None) -> float | None:
    """Read ``8M``, ``1.2G`` or ``1e9``; None stays None.

    Raises:
        UserError: the text is no count.
    """
    if text is None:
        return None
    match = _PATTERN.fullmatch(text.strip())
    if match is None or match[2].upper() == "X" or not 0 < float(match[1]) < _LARGEST:
        raise UserError(f"cannot read the number {_brief(text)}: write such as 500000, 8M, 1.2G or 1e9")
    return float(match[1]) * _UNITS[match[2].upper()]


def parse_factor(text: str | None) -> float | None:
    """Read a size as a factor on the base's FLOPs, ``16x`` or ``16``; None stays None.

    Raises:
        UserError: the text is no positive factor.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)[xX]?", text.strip())
    if match is None or not 0 < float(match[1]) < _LARGEST:
        raise UserError(
            f"cannot read the size {_brief(text)}: write a factor on the base's FLOPs such as 16x"
        )
    return float(match[1])


def parse_seconds(text: str) -> float:
    """Seconds of ``90s``, ``10m``, ``1.5h``, ``1h30m`` or ``2d``; a number alone is seconds.

    Raises:
        UserError: the text is no time.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    else:
        seconds = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0
    if not 0 < seconds <= _LONGEST:
        shown = text if len(text) <= 20 else f"{text[:17]}..."
        raise UserError(f"cannot read {shown!r}: write a time such as 90s, 10m or 1.5h, up to 3650d")
    return seconds


def _brief(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def format_factor(value: float) -> str:
    """A factor with three digits, or all before the point: 1.95535 -> ``1.96x``."""
    return f"{value:.3g}x" if value < 1000 else f"{value:.0f}x"


def format_count(value: float) -> str:
    """A count with three digits and its unit: 401659392 -> ``402M``."""
    for unit in ("T", "G", "M", "K"):
        # From 999.5 on, three digits round up to the next unit's 1.
        if value >= 0.9995 * _UNITS[unit]:
            return f"{value / _UNITS[unit]:#.3g}".rstrip(".") + unit
    return f"{value:.3g}"
