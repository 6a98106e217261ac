"""Networks as YAML files: how users write their own, and how scaled networks are exported.

The keys are the fields of :class:`~scaler.networks.spec.NetworkSpec`; defaults may be left out::

    name: tiny
    resolution: 32
    classes: 10
    stem:
      - {block: plain, width: 16}
    stages:
      - {block: mbconv, depth: 2, width: 24, stride: 2, expand: 4, se: {reduction: 4}}
    head: {width: 128}

The models that check a file are made from the dataclasses, so a field is never listed twice.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from scaler.checked import Number
from scaler.errors import UserError
from scaler.files import read_text
from scaler.networks.blocks.registry import BLOCKS
from scaler.networks.layers import Concat, Conv, Gate, Layer, Residual, Seq
from scaler.networks.lowering import lower
from scaler.networks.scale import width_step
from scaler.networks.spec import Head, NetworkSpec, Stage
from scaler.yaml_files import LARGEST, parse_model
from scaler.yaml_files import parse as parse_yaml

_SUFFIXES = (".yaml", ".yml")

#: Of the keys in a written file.
_ORDER = ("name", "family", "resolution", "classes", "style", "stem", "stages", "head")

#: Beyond these bounds a network could not be built, or not even be counted.
MOST_BLOCKS, MOST_STAGES, WIDEST, LARGEST_SIDE, MOST_CLASSES = 1000, 200, 65_536, 8192, 1_000_000
LARGEST_WINDOW, LARGEST_STRIDE, LARGEST_FACTOR = 63, 32, 256


def _whole(least: int, most: int) -> Any:
    return Field(ge=least, le=most, strict=True)


_WIDTHS = tuple[Annotated[int, _whole(1, WIDEST)], ...]
_RATE = Field(ge=0, lt=1, allow_inf_nan=False)

#: What the types alone do not say, by field.
_LIMITS: dict[str, Any] = {
    "name": Field(max_length=200, pattern=r"^[\w.+-][\w .+-]*$"),
    "resolution": _whole(1, LARGEST_SIDE),
    "classes": _whole(1, MOST_CLASSES),
    "depth": _whole(1, MOST_BLOCKS),
    "width": _whole(0, WIDEST),
    "stride": _whole(1, LARGEST_STRIDE),
    "kernel": _whole(1, LARGEST_WINDOW),
    "expand": Field(ge=0, le=LARGEST_FACTOR, allow_inf_nan=False),
    "group_width": _whole(0, WIDEST),
    "reduction": Field(gt=0, le=1_000_000, allow_inf_nan=False),
    "pool": _whole(1, LARGEST_WINDOW),
    "dropout": _RATE,
    "drop_path": _RATE,
    "norm_eps": Field(gt=0, le=1, allow_inf_nan=False),
    "norm_momentum": Field(gt=0, le=1, allow_inf_nan=False),
    "stages": Field(min_length=1, max_length=MOST_STAGES),
    "stem": Field(max_length=MOST_STAGES),
}

#: Defaults of the file where the dataclass has none.
_DEFAULTS: dict[tuple[type, str], Any] = {
    (NetworkSpec, "family"): "user",
    (NetworkSpec, "stem"): (),
    (NetworkSpec, "head"): Head(),
    (Stage, "depth"): 1,
    (Stage, "width"): 0,
}


def is_file(name: str) -> bool:
    """Whether a base name means a YAML file."""
    return name.endswith(_SUFFIXES)


def read(path: Path) -> NetworkSpec:
    """Read a network from a YAML file.

    Raises:
        UserError: the file cannot be read, or a key, a value or the network is wrong; with line and key.
    """
    return parse(read_text(path, LARGEST), str(path))


def parse(text: str, source: str) -> NetworkSpec:
    """Read a network from YAML text; ``source`` names it in errors.

    Raises:
        UserError: as :func:`read`.
    """
    spec: NetworkSpec = parse_model(text, _file_model(), source).made()  # type: ignore[attr-defined]
    for part in ("stem", "stages"):
        for index in range(len(getattr(spec, part))):
            problem = _problem(spec, part, index)
            if problem:
                line = _lines(text, source)[part, index]
                raise UserError(f"{source}, line {line}, key '{part}.{index}': {problem}")
    _check_head(spec, source, text)
    return spec


def write(spec: NetworkSpec) -> str:
    """The YAML text of a network; :func:`parse` gives the same network back.

    Raises:
        UserError: the network is the user's own code, which has no layers to write down.
    """
    if not spec.stages:
        raise UserError(f"{spec.name} has no stages to write as YAML; its source is its own code")
    lines = []
    for key, value in sorted(_plain(spec).items(), key=lambda item: _ORDER.index(item[0])):
        if isinstance(value, list):
            lines += [f"{key}:", *(f"  - {_flow(stage)}" for stage in value)]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema of a network file, for editors and for `scaler bases --schema`."""
    return _file_model().model_json_schema()


def _problem(spec: NetworkSpec, part: str, index: int) -> str:
    """Why a stage cannot follow the stages before it, or nothing."""
    stage: Stage = getattr(spec, part)[index]
    if stage.kernel % 2 == 0 and not stage.block.startswith("maxpool"):
        return f"the kernel of a {stage.block} block must be odd, to keep a map's size, not {stage.kernel}"
    if stage.width % (step := width_step(stage)):
        return (
            f"a group_width of {stage.group_width} with an expand of {stage.expand:g} needs a width in "
            f"multiples of {step}, not {stage.width}"
        )
    stem, stages = (
        (spec.stem, spec.stages[: index + 1]) if part == "stages" else (spec.stem[:index], (stage,))
    )
    try:
        tree = lower(replace(spec, stem=stem, stages=stages, head=Head()))
    except UserError as error:
        return _said_of_all(spec) or str(error)
    except (ValueError, ZeroDivisionError) as error:
        return f"a {stage.block} block cannot have branches {list(stage.branches)}: {error}"
    parts = dict(tree.children)["stages"]
    assert isinstance(parts, Seq)
    for conv in _convolutions(parts.children[-1][1]):
        if min(conv.c_in, conv.c_out, conv.groups) < 1 or conv.c_in % conv.groups or conv.c_out % conv.groups:
            return (
                f"it needs a convolution from {conv.c_in} to {conv.c_out} channels in {conv.groups} groups; "
                "mend its width, group_width or branches"
            )
    return ""


def _said_of_all(spec: NetworkSpec) -> str:
    """The same problem, said with the whole network in mind: how many pixels all of its stages need."""
    try:
        lower(spec)
    except UserError as error:
        return str(error)
    except (ValueError, ZeroDivisionError):  # of a later stage
        pass
    return ""


def _check_head(spec: NetworkSpec, source: str, text: str) -> None:
    """The whole network, now that all its stages follow one another."""
    try:
        lower(spec)
    except UserError as error:
        raise UserError(f"{source}, line {_lines(text, source)['resolution',]}: {error}") from error


def _lines(text: str, source: str) -> dict[tuple[int | str, ...], int]:
    """The line of every key, counted from 1."""
    return parse_yaml(text, source).lines


def _convolutions(layer: Layer) -> Iterator[Conv]:
    match layer:
        case Conv():
            yield layer
        case Seq(children=parts) | Concat(branches=parts):
            for _, part in parts:
                yield from _convolutions(part)
        case Gate():
            yield from _convolutions(layer.body)
        case Residual():
            for inner in (layer.body, layer.shortcut, layer.after):
                if inner is not None:
                    yield from _convolutions(inner)
        case _:
            pass


def _plain(value: Any) -> Any:
    """A dataclass as plain YAML values, without fields that have their default."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(item) for name, item in found.items() if item != _default(type(value), name)}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flow(value: Any) -> str:
    """A value on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.strip().removesuffix("...").strip()


def _default(kind: Any, name: str) -> Any:
    """What a file may leave out; MISSING is what it must say."""
    field = next(field for field in fields(kind) if field.name == name)
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return _DEFAULTS.get((kind, name), MISSING)


@lru_cache(maxsize=1)
def _file_model() -> type[BaseModel]:
    return _model(NetworkSpec)


def _model(kind: type) -> type[BaseModel]:
    """A pydantic model with the fields of a dataclass, whose ``made()`` is the dataclass."""
    about = _descriptions(kind)
    members: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        default = _default(kind, name)
        described = Field(... if default is MISSING else default, description=about.get(name))
        members[name] = (Annotated[_checked(name, hint), _LIMITS.get(name, Field())], described)

    def made(self: BaseModel) -> Any:
        return kind(**{name: getattr(self, name) for name in members})

    model: type[BaseModel] = create_model(kind.__name__, __config__=ConfigDict(extra="forbid"), **members)
    model.__doc__ = (inspect.getdoc(kind) or "").partition("\n\nAttributes:")[0]
    model.made = made  # type: ignore[attr-defined]
    return model


def _checked(name: str, hint: Any) -> Any:
    """The type that pydantic checks: dataclasses become models, block names the known ones."""
    if name == "block":
        return Literal[tuple(BLOCKS)]
    if name in ("hidden", "branches"):
        return _WIDTHS
    if hint is float:
        return Number
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return Annotated[_model(hint), AfterValidator(lambda model: model.made())]
    if get_origin(hint) is tuple:
        return tuple[_checked("", get_args(hint)[0]), ...]  # type: ignore[misc]
    if isinstance(hint, UnionType):
        return _checked("", get_args(hint)[0]) | None
    return hint


def _descriptions(kind: type) -> dict[str, str]:
    """What the ``Attributes`` part of a docstring says about each field."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return {name: " ".join(about.split()) for name, about in found}
