"""How processes start that train: forked from one that has imported torch, where that is safe.

A new Python takes two seconds of processor time to import torch. A fork server imports it once and gives
away copies of itself, in hundredths of a second, which share its memory too. It has no threads and has never
touched a GPU. Only Linux forks safely after such imports; elsewhere every process starts anew.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

#: What every training needs; also keeps the server from importing a user's own program.
_IMPORTED = ["scaler.training.trainer", "scaler.data.registry", "scaler.data.request"]
#: Bytes of the longest folder for temporary files below which a socket can have its name (108 in all).
_LONGEST_FOLDER = 70


def start_method() -> Literal["forkserver", "spawn"]:
    """Of multiprocessing; the server listens on a socket among the temporary files."""
    folder = os.fsencode(tempfile.gettempdir())
    return "forkserver" if sys.platform == "linux" and len(folder) <= _LONGEST_FOLDER else "spawn"


def context() -> Any:
    """To start processes with, and to make their pipes."""
    found: Any = multiprocessing.get_context(start_method())
    if found.get_start_method() == "forkserver":
        found.set_forkserver_preload(_IMPORTED)
    return found


@contextlib.contextmanager
def no_main() -> Iterator[None]:
    """Processes started here know no main program: a script that searches at its top level runs once."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
