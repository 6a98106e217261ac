"""A user's own network as Python code: a function that returns an ``nn.Module`` for multipliers.

The function is named ``module:function`` or ``path/to/file.py:function`` and takes four keyword arguments:

* ``depth``, ``width``: multipliers; 1.0 is the base. Any positive number may come, so the function rounds.
* ``resolution``: height and width of the input, in pixels.
* ``num_classes``: number of outputs.

Its attribute ``base_resolution`` (default 224) is the base's resolution in pixels. Nothing here imports
torch before a network is built.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import reprlib
import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.errors import UserError
from scaler.files import read_text
from scaler.networks.scale import effective, identity, scale, small
from scaler.networks.spec import Head, NetworkSpec
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

if TYPE_CHECKING:
    from torch import nn

DEFAULT_RESOLUTION = 224
LARGEST_RESOLUTION = 8192


@dataclass(frozen=True)
class PythonNetwork(NetworkSpec):
    """A network that only its function knows: it has no stem, no stages and no head to read.

    Depth and width multipliers stay as they are asked for; what the function makes of them shows in the
    counted cost and in :func:`scaler.networks.scale.identity`.

    Attributes:
        target: ``module:function``, or ``FILE.py:function`` with the full path.
        depth_multiplier: given to the function.
        width_multiplier: given to the function.
        regularised: keep the network's dropout.
        source: fingerprint of the code, so that trainings of one network are not mixed with another's;
            empty where it does not matter.
    """

    target: str = ""
    depth_multiplier: float = 1.0
    width_multiplier: float = 1.0
    regularised: bool = True
    source: str = ""

    def without_regularisation(self) -> PythonNetwork:
        """The same with all dropout layers at rate 0; what else the code does is its own affair."""
        return replace(self, regularised=False)


def is_target(name: str) -> bool:
    """Whether a base name means a Python function."""
    return ":" in name


def python_network(name: str) -> PythonNetwork:
    """The base network of ``module:function`` or ``FILE.py:function``.

    Raises:
        UserError: the module or the function is not there, or the base resolution is no whole number.
    """
    place, _, function = name.rpartition(":")
    if not place or not function:
        raise UserError(f"cannot read the base {name!r}: write module:function or FILE.py:function")
    target = f"{Path(place).resolve()}:{function}" if place.endswith(".py") else name
    source = _source(target)
    resolution = getattr(_function(target, source), "base_resolution", DEFAULT_RESOLUTION)
    whole = isinstance(resolution, int) and not isinstance(resolution, bool)
    if not whole or not 1 <= resolution <= LARGEST_RESOLUTION:
        raise UserError(
            f"base_resolution of {name} must be a whole number of pixels from 1 to {LARGEST_RESOLUTION}, "
            f"not {reprlib.repr(resolution)}"
        )
    return PythonNetwork(
        name=f"{Path(place).stem if place.endswith('.py') else place.rpartition('.')[2]}-{function}",
        family="user",
        stem=(),
        stages=(),
        head=Head(),
        resolution=resolution,
        target=target,
        source=source,
    )


@scale.register
def _(spec: PythonNetwork, multipliers: Multipliers, rounding: Rounding) -> PythonNetwork:
    """Depth and width pass to the function as they are; only pixels are rounded here."""
    return replace(
        spec,
        depth_multiplier=spec.depth_multiplier * multipliers.depth,
        width_multiplier=spec.width_multiplier * multipliers.width,
        resolution=rounding.pixels(spec.resolution, multipliers.resolution),
    )


@effective.register
def _(spec: PythonNetwork, base: PythonNetwork) -> Multipliers:
    """Depth and width as asked for, since nobody can look into the function; pixels as they are."""
    return Multipliers(
        spec.depth_multiplier / base.depth_multiplier,
        spec.width_multiplier / base.width_multiplier,
        spec.resolution / base.resolution,
    )


@small.register
def _(spec: PythonNetwork, resolution: int) -> PythonNetwork:
    """Only the resolution changes: strides are the function's affair (it is told the resolution)."""
    return replace(spec, resolution=resolution)


@identity.register
def _(spec: PythonNetwork) -> Hashable:
    """The code, names and shapes of all parameters, and the resolution."""
    return spec.target, spec.source, spec.resolution, spec.classes, _parameter_shapes(spec)


@lru_cache(maxsize=4096)
def _parameter_shapes(spec: PythonNetwork) -> tuple[tuple[str, tuple[int, ...]], ...]:
    import torch

    with torch.random.fork_rng(devices=[]):
        return tuple((name, tuple(value.shape)) for name, value in _called(spec).named_parameters())


def construct(spec: PythonNetwork) -> nn.Module:
    """Call the function and check what comes back by one forward pass of zeros.

    Raises:
        UserError: the function fails, returns no module, or the module does not turn images
            ``[N, 3, R, R]`` into scores ``[N, classes]``.
    """
    import torch

    network = _called(spec)
    if not spec.regularised:
        _drop_dropout(network)
    network.eval()
    with (
        torch.no_grad(),
        _guarded(f"the network of {_call(spec)} cannot take images of {spec.resolution} px"),
    ):
        scores = network(torch.zeros(2, 3, spec.resolution, spec.resolution))
    network.train()
    shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
    if shape != (2, spec.classes):
        raise UserError(
            f"the network of {_call(spec)} must give scores [N, {spec.classes}] for images [N, 3, R, R]; "
            f"for N = 2 it gave {shape}"
        )
    return network


def _called(spec: PythonNetwork) -> nn.Module:
    """What the function returns, not yet tried on images."""
    import torch
    from torch import nn
    from torch.nn.parameter import is_lazy

    function = _function(spec.target, spec.source or _source(spec.target))
    with _guarded(f"{_call(spec)} failed"):
        network = function(
            depth=spec.depth_multiplier,
            width=spec.width_multiplier,
            resolution=spec.resolution,
            num_classes=spec.classes,
        )
    if not isinstance(network, nn.Module):
        raise UserError(f"{_call(spec)} must return a torch.nn.Module, not {type(network).__name__}")
    for name, parameter in network.named_parameters():
        # Who only counts memory builds on the meta device, where all parameters are.
        if is_lazy(parameter) or (parameter.is_meta and torch.get_default_device().type != "meta"):
            kind = "lazy" if is_lazy(parameter) else "on the meta device"
            raise UserError(
                f"{_call(spec)}: its parameter {name} is {kind}; give every layer its size and values"
            )
    return network


def _drop_dropout(network: nn.Module) -> None:
    from torch import nn

    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    for part in network.modules():
        if isinstance(part, kinds):
            part.p = 0.0


def _call(spec: PythonNetwork) -> str:
    """How the function was called, for messages."""
    return (
        f"{spec.target}(depth={spec.depth_multiplier:.4g}, width={spec.width_multiplier:.4g}, "
        f"resolution={spec.resolution}, num_classes={spec.classes})"
    )


@contextlib.contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Run a user's code: what it prints goes to stderr, and its errors and exits become a sentence.

    Raises:
        UserError: the code failed; ``what`` begins the sentence.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        raise UserError(f"{what}: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    """The kind and first line of a foreign error."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, SystemExit):
        kind, text = "it exits", ""
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    lines = text.strip().splitlines()
    return f"{kind}: {lines[0][:200]}" if lines else kind


def _function(target: str, source: str) -> Callable[..., Any]:
    """The function of this code, which an edited file does not change where it is loaded already.

    Raises:
        UserError: there is none, or the code is another.
    """
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        module = _file_module(place, source)
    elif source == _source(target):
        module = _named_module(place)
    else:
        raise _other_code(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"there is no function {name!r} in {place}")
    found: Callable[..., Any] = function
    return found


def _source(target: str) -> str:
    """Fingerprint of the file, or of the module, that the function stands in; none of compiled code.

    Raises:
        UserError: the module was edited after it was imported, so that what runs is other code.
    """
    place, _, _ = target.rpartition(":")
    if place.endswith(".py"):
        return _fingerprint(read_text(Path(place)))
    found = _module_source(place)
    if found != _first_source(place):
        raise UserError(
            f"the module {place} was edited after it was imported: start Python anew, or write "
            "FILE.py:function"
        )
    return found


def _module_source(place: str) -> str:
    try:
        return _fingerprint(inspect.getsource(_named_module(place)))
    except (OSError, TypeError):
        return ""


@lru_cache(maxsize=1024)
def _first_source(place: str) -> str:
    """What it was when it was looked at first; a process keeps the module that it has imported."""
    return _module_source(place)


def _fingerprint(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _other_code(place: str) -> UserError:
    return UserError(f"the code of {place} is not what it was when the work began; put it back")


def _named_module(place: str) -> Any:
    """Import a module; the working directory counts, as with ``python -m``."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with _guarded(f"importing {place} failed"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            missing = error.name and (place == error.name or place.startswith(f"{error.name}."))
            if not missing:
                raise
    raise UserError(
        f"cannot find the module {place!r}; run from the directory that holds it, or write FILE.py:function"
    )


@lru_cache(maxsize=64)
def _file_module(place: str, source: str) -> Any:
    path = Path(place)
    code = read_text(path)
    if _fingerprint(code) != source:
        raise _other_code(place)
    found = importlib.util.spec_from_file_location(f"scaler_user_{path.stem}_{source[:16]}", path)
    assert found is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    with _guarded(f"running {place} failed"):
        # Not by its loader: that takes what it compiled before, if the file's size and second are the same.
        exec(compile(code, place, "exec"), vars(module))
    return module
