"""Reading YAML into checked models, with errors that name the line and the key.

A file from elsewhere is data that may be hostile: it is read by a safe loader, as far as
:data:`LARGEST`, :data:`DEEPEST` and :data:`MOST_NODES` go. Dates stay text, and a key stands once.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scaler.errors import UserError
from scaler.files import read_text

Model = TypeVar("Model", bound=BaseModel)
Key = tuple[int | str, ...]

#: Bytes of a file, levels of nesting, and values once all aliases are written out.
LARGEST, DEEPEST, MOST_NODES = 256 << 10, 32, 50_000

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True)
class Document:
    """A YAML file's keys and values, with the line of every key, counted from 1."""

    content: dict[str, Any]
    lines: dict[Key, int]


def read_model(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a model.

    Raises:
        UserError: the file cannot be read, is no YAML, or a key or value is wrong; with line and key.
    """
    return parse_model(read_text(path, LARGEST), model, str(path))


def parse_model(text: str, model: type[Model], source: str) -> Model:
    """Read YAML text into a model; ``source`` names it in errors.

    Raises:
        UserError: as :func:`read_model`.
    """
    return checked(parse(text, source), model, source)


def checked(document: Document, model: type[Model], source: str) -> Model:
    """A YAML document as a model; ``source`` names it in errors.

    Raises:
        UserError: a key or value is wrong; with line and key.
    """
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        raise UserError(_sentence(error, model, source, document.lines)) from error


def read(path: Path) -> Document:
    """Read a YAML file that holds keys and values.

    Raises:
        UserError: the file cannot be read, or is no YAML.
    """
    return parse(read_text(path, LARGEST), str(path))


def parse(text: str, source: str) -> Document:
    """Read YAML text; ``source`` names it in errors; raises as :func:`read`."""
    lines: dict[Key, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{source}, line 1: expected keys and values such as `name: value`")
        _written_out(node)
        lines = _lines(node)
        content = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise UserError(f"{source}, {_problem(error, lines)}; mend the YAML there") from error
    if odd := [key for key in content if not isinstance(key, str)]:
        raise UserError(f"{source}: the key {_short(odd[0])} is no name; write `name: value`")
    return Document(content, lines)


class _Loader(yaml.SafeLoader):
    """The safe loader, within bounds."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (the library's own name and type)
        first: [(tag, pattern) for tag, pattern in found if tag != _TIMESTAMP]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        try:
            if self._depth > DEEPEST:
                raise yaml.MarkedYAMLError(
                    problem=f"values are nested more than {DEEPEST} deep",
                    problem_mark=self.get_mark(),
                )
            found: yaml.Node | None = super().compose_node(parent, index)
            return found
        finally:
            self._depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"{_short(node.value)} is no {kind}", problem_mark=node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {_short(key.value)} stands here a second time",
                    problem_mark=key.start_mark,
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def _as_text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor(_TIMESTAMP, _as_text)


def _written_out(node: yaml.Node) -> int:
    """The number of values below a node, aliases written out.

    Raises:
        yaml.MarkedYAMLError: a value holds itself, or there are too many.
    """
    sizes: dict[int, int] = {}
    above: set[int] = set()

    def size(one: yaml.Node) -> int:
        if id(one) in above:
            raise yaml.MarkedYAMLError(problem="a value holds itself", problem_mark=one.start_mark)
        if id(one) not in sizes:
            above.add(id(one))
            sizes[id(one)] = 1 + sum(size(child) for child in _children(one))
            above.remove(id(one))
        if sizes[id(one)] > MOST_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"there are more than {MOST_NODES:,} values, aliases written out",
                problem_mark=one.start_mark,
            )
        return sizes[id(one)]

    return size(node)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _problem(error: yaml.YAMLError, lines: Mapping[Key, int]) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}" if mark else "somewhere"
    # Of `{a: 1, b: 2}` in one line, nobody knows here which key is at fault.
    keys = [key for key, line in lines.items() if mark and line == mark.line + 1]
    where += f", key {'.'.join(map(str, keys[0]))!r}" if len(keys) == 1 else ""
    if isinstance(error, yaml.reader.ReaderError):
        return f"{where}: it holds the character {error.character:#x}, which YAML does not allow"
    return f"{where}: {getattr(error, 'problem', None) or 'it is no YAML'}"


def _lines(node: yaml.Node, path: Key = ()) -> dict[Key, int]:
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
    unknown = ("extra_forbidden", "unexpected_keyword_argument")
    # A misspelt key comes before the one that it leaves missing.
    first = min(error.errors(include_url=False), key=lambda found: found["type"] not in unknown)
    # A union adds the names of its members to the location; only real keys have a line.
    key: Key = tuple(part for part in first["loc"])
    place = next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), 1)
    name = ".".join(str(part) for part in key)
    where = f"{source}, line {place}, key {name!r}" if key else f"{source}, line {place}"
    if first["type"] in unknown:
        known = _keys(model, key[:-1])
        near = difflib.get_close_matches(str(key[-1]).lower(), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        return f"{where}: there is no such key; {hint}"
    return f"{where}: {told(first)}"


def told(problem: ErrorDetails) -> str:
    """What pydantic found wrong with a value, and the value."""
    message = problem["msg"].removeprefix("Value error, ")
    # What several keys say together is told by the sentence itself.
    whole = problem["type"] == "missing" or isinstance(problem["input"], Mapping | Set)
    given = "" if whole or _short(problem["input"]) in message else f", not {_short(problem['input'])}"
    return f"{message[:1].lower()}{message[1:]}{given}"


def _short(value: object) -> str:
    """A value as it may stand in a sentence, however long it is."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 60
    return shown.repr(value)


def _keys(model: Any, path: Key) -> list[str]:
    """The keys that a model knows at a place inside it."""
    for part in path:
        fields = _fields(model)
        if (name := str(part)) in fields:
            model = getattr(fields[name], "annotation", None) or _model_in(model).__annotations__.get(name)
    return list(_fields(model))


def _fields(model: Any) -> Mapping[str, Any]:
    found = _model_in(model)
    known = getattr(found, "model_fields", None) or getattr(found, "__dataclass_fields__", None)
    return known or {}


def _model_in(annotation: Any) -> Any:
    """The model itself, or the first one inside a type such as ``tuple[Model, ...] | None``."""
    if hasattr(annotation, "model_fields") or hasattr(annotation, "__dataclass_fields__"):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
