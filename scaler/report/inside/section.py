"""The part of a run's page that shows the inside of its networks, from what ``scaler inspect`` left there."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from scaler.runs import Run

#: The folder of a run that views go to.
FOLDER = "inspect"

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Section:
    """One view: its sentences, and its pictures as data that a page can hold."""

    heading: str
    lines: tuple[str, ...]
    pictures: tuple[str, ...]


def sections(run: Run) -> tuple[Section, ...]:
    """The views that lie in a run; one that was damaged or lacks a picture is passed over."""
    found = (_section(file) for file in sorted((run.path / FOLDER).glob("*.json")))
    return tuple(section for section in found if section is not None)


def _section(file: Path) -> Section | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        pictures = tuple(_embedded(file.parent / name) for name in content["pictures"])
        return Section(str(content["heading"]), tuple(map(str, content["lines"])), pictures)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _embedded(picture: Path) -> str:
    content = base64.b64encode(picture.read_bytes()).decode()
    return f"data:{_TYPES[picture.suffix]};base64,{content}"
