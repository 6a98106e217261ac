"""Scaler: find by experiment how a convolutional network should grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler.version import __version__

if TYPE_CHECKING:
    from scaler.growth.export import load as load

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `import scaler` must not wait for it.
    if name == "load":
        from scaler.growth.export import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
