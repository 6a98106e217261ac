"""Things by name: how every registry of Scaler works.

A registry is a table with one line for each thing: its name, and the module of its package (and the name in
it, after a colon) where it is made. A new base family, block, data set or strategy is one file and one line.
Modules are imported when a thing is asked for, so that names cost nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from scaler.errors import UserError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Names in the order of their lines; ``registry[name]`` imports the thing."""

    def __init__(self, kind: str, package: str, lines: Mapping[str, str]) -> None:
        """Import nothing yet.

        Args:
            kind: what the things are, for messages, e.g. ``strategy``.
            package: that holds their modules.
            lines: ``module`` (the module itself is the thing) or ``module:attribute``, by name.
        """
        self.kind = kind
        self._package = package
        self._lines = dict(lines)

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._lines[name].partition(":")
        found = import_module(f"{self._package}.{module}")
        return cast(T, getattr(found, attribute) if attribute else found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def find(self, name: str) -> T:
        """The thing of this name.

        Raises:
            UserError: there is none; the message shows the nearest names.
        """
        if name in self._lines:
            return self[name]
        raise UserError(unknown(self.kind, name, self))


def unknown(kind: str, name: str, known: Mapping[str, object]) -> str:
    """A sentence for a name that is none of those known, with the nearest."""
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(known)}"
    return f"unknown {kind} {name!r}; {hint}"
