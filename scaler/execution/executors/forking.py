"""How processes start that train: forked from one that has imported torch, where that is safe.

A new Python takes two seconds of processor time to import torch. A fork server imports it once and gives
away copies of itself, in hundredths of a second, which share its memory too. It has no threads and has never
touched a GPU. Only Linux forks safely after such imports; elsewhere every process starts anew.
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any, Literal

START: Literal["forkserver", "spawn"] = "forkserver" if sys.platform == "linux" else "spawn"

#: What every training needs; also keeps the server from importing a user's own program.
_IMPORTED = ["scaler.training.trainer", "scaler.data.registry", "scaler.data.request"]


def context() -> Any:
    """To start processes with, and to make their pipes."""
    found: Any = multiprocessing.get_context(START)
    if START == "forkserver":
        found.set_forkserver_preload(_IMPORTED)
    return found
