"""Where the search spaces lie: inside the installed package, else beside it in the source tree."""

from __future__ import annotations

from pathlib import Path


def spaces_directory() -> Path:
    """The directory of the YAML files that ship with Scaler."""
    package = Path(__file__).parents[1]
    installed = package / "search_spaces"
    return installed if installed.is_dir() else package.parent / "search_spaces"


def space_files() -> dict[str, Path]:
    """The files of all search spaces by name, in alphabetical order."""
    return {path.stem: path for path in sorted(spaces_directory().glob("*.yaml"))}
