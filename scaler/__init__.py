"""Scaler: find by experiment how a convolutional network should grow.

``search``, ``scale``, ``profile``, ``load`` and ``read`` are the commands for Python (docs/python.md).
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import scaler.search as _room
from scaler.version import __version__

if TYPE_CHECKING:
    from scaler.api.profiling import profile as profile
    from scaler.api.results import load as load
    from scaler.api.results import read as read
    from scaler.api.scaling import scale as scale
    from scaler.api.searching import search as search

__all__ = ["__version__", "load", "profile", "read", "scale", "search"]

_MODULES = {
    "load": "results", "profile": "profiling", "read": "results", "scale": "scaling", "search": "searching",
}  # fmt: skip


def _function(name: str) -> Any:
    from scaler.api.in_python import in_python

    return in_python(getattr(import_module(f"scaler.api.{_MODULES[name]}"), name))


def __getattr__(name: str) -> Any:
    # Seconds of imports, which `import scaler` must not wait for.
    if name in _MODULES:
        return globals().setdefault(name, _function(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _StepOne(ModuleType):
    """``scaler.search``: the room of that name, and, called, the command."""

    def __call__(self, **options: Any) -> Any:
        return _function("search")(**options)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(_function("search"))


_room.__class__ = _StepOne
