"""Reading tables from CSV files, with errors that name the line and the column.

A table may have been cut, edited or never been one of ours: its numbers are checked against their ranges
here, so that whoever reads it need not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.errors import UserError
from scaler.files import read_text

if TYPE_CHECKING:
    from pandas import DataFrame, Series


@dataclass(frozen=True)
class Range:
    """What numbers, such as those of a column, may be; always finite.

    Attributes:
        least, most: bounds, themselves allowed.
        whole: no fractions.
    """

    least: float = float("-inf")
    most: float = float("inf")
    whole: bool = False

    def __contains__(self, value: Any) -> bool:
        number = isinstance(value, Integral if self.whole else Real) and math.isfinite(value)
        return number and bool(self.least <= value <= self.most)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a finite number"
        if self.most < float("inf"):
            return f"{kind} from {self.least:g} to {self.most:g}"
        return kind if self.least == float("-inf") else f"{kind} of at least {self.least:g}"


#: A cell in quotes, in which a quote stands twice.
_QUOTED = re.compile(r'(?:^|(?<=,))"[^"]*(?:""[^"]*)*"', re.MULTILINE)

#: Larger counts than this are none that a machine could have come to.
_LARGEST = 1e24

_NUMBER, _PART = Range(), Range(0, 1)
_PLACE, _COUNT = Range(0, 1e9, whole=True), Range(1, _LARGEST, whole=True)

#: Ranges by name, for all tables; a column that is not here is not checked.
RANGES: Mapping[str, Range] = {
    **dict.fromkeys(("candidate", "seed_index", "rung", "training"), _PLACE),
    **dict.fromkeys(("epochs", "images", "resolution", "proxy_resolution", "flops", "proxy_flops"), _COUNT),
    **dict.fromkeys(("macs", "params", "activations"), Range(0, _LARGEST, whole=True)),
    **dict.fromkeys(("accuracy", "share_depth", "share_width", "share_resolution"), _PART),
    **dict.fromkeys(("accuracy_stderr", "seconds", "loss"), Range(0, _LARGEST)),
    "train_flops": Range(1, _LARGEST),
    "seeds": _PLACE,
    **dict.fromkeys(
        ("alpha", "beta", "gamma", "depth", "width", "flops_ratio", "proxy_ratio"), Range(1e-9, 1e9)
    ),
    **dict.fromkeys(("octave_depth", "octave_width", "octave_resolution"), Range(-100, 100)),
    **dict.fromkeys(("phi", "difference", "difference_low", "difference_high"), _NUMBER),
}


def read_csv(path: Path, needed: Sequence[str], renamed: Mapping[str, str] | None = None) -> DataFrame:
    """A table; numbers of the columns in :data:`RANGES` are within them, or missing.

    Args:
        path: of the file; lines that start with ``#`` are passed over.
        needed: columns that it must have.
        renamed: what columns of older files are called now.

    Raises:
        UserError: there is no such file, it is no table, a column is missing or there twice, or a value is
            wrong.
    """
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        raise UserError(f"{path} is cut off: its last line has no end; copy the file again, or end the line")
    text = _without_comments(text)
    frame = _parsed(path, text)
    _refuse_twice(path, frame, renamed or {})
    frame = frame.rename(columns=renamed or {})
    if missing := [name for name in needed if name not in frame.columns]:
        raise UserError(f"{path} lacks the column {missing[0]!r}; a table has {', '.join(needed)}")
    for name in frame.columns:
        if name in RANGES:
            frame[name] = _checked(path, text, frame[name], RANGES[name])
    return frame


def _without_comments(text: str) -> str:
    """The same lines, those that start with ``#`` empty: lines keep their numbers."""
    return "\n".join("" if line.startswith("#") else line for line in text.split("\n"))


def _parsed(path: Path, text: str) -> DataFrame:
    import pandas as pd

    try:
        frame = pd.read_csv(StringIO(text), keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path} is no CSV table: {' '.join(str(error).split())}") from None
    # Where every row has a value too many, pandas takes the first ones for names of the rows.
    if len(frame) and not isinstance(frame.index, pd.RangeIndex):
        raise UserError(f"{path} is no CSV table: its rows have more values than its header has columns")
    return frame


def _refuse_twice(path: Path, frame: DataFrame, renamed: Mapping[str, str]) -> None:
    names = list(map(str, frame.columns))
    # Of two columns of a name, pandas calls the second NAME.1.
    if twice := [name for name in names if name.rpartition(".")[0] in names]:
        raise UserError(f"{path} has the column {twice[0].rpartition('.')[0]!r} twice; remove one of them")
    if both := [(old, new) for old, new in renamed.items() if old in names and new in names]:
        raise UserError(
            f"{path} has the columns {both[0][0]!r} and {both[0][1]!r}, which are one; remove one of them"
        )


def _checked(path: Path, text: str, values: Series, range: Range) -> Series:
    """The numbers, if all are within the range."""
    import numpy as np
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    good = np.isfinite(numbers) & (numbers >= range.least) & (numbers <= range.most)
    if range.whole:
        good &= numbers == np.rint(numbers)
    wrong = np.flatnonzero(~(good | values.isna().to_numpy()))
    if len(wrong):
        row = int(wrong[0])
        raise UserError(
            f"{path}, line {_line(text, row)}: {values.name} is {str(values.iloc[row])[:60]!r}, "
            f"which is not {range}"
        )
    return pd.Series(numbers, values.index, name=values.name)


def _line(text: str, row: int) -> int:
    """The line that a row begins on, counted from 1; empty lines are no rows."""
    # A quoted cell may hold line ends; text as read has no other use for \r.
    rows = _QUOTED.sub(lambda cell: cell[0].replace("\n", "\r"), text).split("\n")
    begins = accumulate((1 + row.count("\r") for row in rows), initial=1)
    lines = [line for line, row in zip(begins, rows, strict=False) if row.strip(" \t")]
    return lines[row + 1]
