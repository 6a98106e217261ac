"""Reading YAML into checked models, with errors that name the line and the key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from scaler.errors import UserError

Model = TypeVar("Model", bound=BaseModel)
Key = tuple[int | str, ...]


def read_model(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a model.

    Raises:
        UserError: the file cannot be read, is no YAML, or a key or value is wrong; with line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    return parse_model(text, model, str(path))


def parse_model(text: str, model: type[Model], source: str) -> Model:
    """Read YAML text into a model; ``source`` names it in errors.

    Raises:
        UserError: as :func:`read_model`.
    """
    try:
        content = yaml.safe_load(text)
        lines = _lines(yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise UserError(f"{source}, {where}: {problem}; mend the YAML there") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{source}, line 1: expected keys and values such as `name: value`")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(_sentence(error, model, source, lines)) from error


def _lines(node: yaml.Node | None, path: Key = ()) -> dict[Key, int]:
    """The line of every key, counted from 1."""
    found: dict[Key, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            found[here] = key.start_mark.line + 1
            found.update(_lines(value, here))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*path, index)
            found[here] = value.start_mark.line + 1
            found.update(_lines(value, here))
    return found


def _sentence(error: ValidationError, model: type[BaseModel], source: str, lines: dict[Key, int]) -> str:
    """The first thing that is wrong, in one sentence."""
    # A misspelt key comes before the one that it leaves missing.
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    # A union adds the names of its members to the location; only real keys have a line.
    key: Key = tuple(part for part in first["loc"])
    place = next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), 1)
    name = ".".join(str(part) for part in key)
    where = f"{source}, line {place}, key {name!r}" if key else f"{source}, line {place}"
    if first["type"] == "extra_forbidden":
        known = _keys(model, key[:-1])
        near = difflib.get_close_matches(str(key[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        return f"{where}: there is no such key; {hint}"
    given = "" if first["type"] == "missing" else f", not {first['input']!r}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}{given}"


def _keys(model: Any, path: Key) -> list[str]:
    """The keys that a model knows at a place inside it."""
    for part in path:
        fields = getattr(_model_in(model), "model_fields", {})
        if part in fields:
            model = fields[part].annotation
    return list(getattr(_model_in(model), "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """The model itself, or the first one inside a type such as ``tuple[Model, ...] | None``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
