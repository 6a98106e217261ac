"""Numbers as files and options may give them: finite, no truth values. Ranges stand where they are used."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _no_truth_value(value: Any) -> Any:
    """YAML reads ``yes`` and ``on`` as true, which Python takes for 1."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


#: A whole number.
Whole = Annotated[int, BeforeValidator(_no_truth_value)]
#: A finite number, and one above 0.
Number = Annotated[float, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
