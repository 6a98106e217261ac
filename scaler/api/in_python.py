"""What is wrong, in the words of whoever called: a command line has ``--options``, Python has keywords."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from scaler.errors import UserError

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: An option, and a value after it that is plainly one.
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])(?: ((?:'[^']*'|-?\d[\w.%]*)(?![\w.]))?)?")


def keywords(sentence: str) -> str:
    """The sentence with ``--time-budget`` as ``time_budget`` and ``--phi 99`` as ``phi=99``.

    Commands in backquotes stay what they are.
    """
    parts = re.split(r"(`[^`]*`)", sentence)
    return "".join(part if part.startswith("`") else _OPTION.sub(_keyword, part) for part in parts)


def _keyword(found: re.Match[str]) -> str:
    name, value = found[1].replace("-", "_"), found[2]
    if name == "no_train":
        name, value = "train", "False"
    spaced = found[0].endswith(" ") and not value
    return f"{name}={value}" if value else name + " " * spaced


def in_python(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, whose errors speak of keywords."""

    @wraps(function)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            with warnings.catch_warnings():
                # Of tqdm, which Optuna imports in notebooks, and whose bars are not used here.
                warnings.filterwarnings("ignore", message="IProgress not found")
                return function(*args, **kwargs)
        except UserError as error:
            raise UserError(keywords(str(error))) from None

    return called
