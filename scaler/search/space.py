"""Search spaces: what a search compares, and how; YAML files, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scaler.errors import UserError
from scaler.networks.spec import Position
from scaler.scaling.budget import parse_budget, parse_count
from scaler.scaling.rounding import Rounding
from scaler.search.spaces_directory import spaces_directory
from scaler.training.recipe import Recipe
from scaler.yaml_files import read_model

Bounds = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grid(_Checked):
    """A lattice on the triangle of shares, or the paper's rectangular grid with a step.

    Attributes:
        lattice: divisions of each side; 4 gives 15 points.
        alpha, beta, gamma: bounds of a rectangular grid.
        step: of the rectangular grid.
    """

    lattice: Annotated[int, Field(ge=1, le=60)] | None = None
    alpha: Bounds | None = None
    beta: Bounds | None = None
    gamma: Bounds | None = None
    step: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        rectangle = (self.alpha, self.beta, self.gamma, self.step)
        if (self.lattice is None) != all(value is not None for value in rectangle):
            raise ValueError("give either `lattice`, or all of `alpha`, `beta`, `gamma` and `step`")
        if self.lattice is not None and any(value is not None for value in rectangle):
            raise ValueError("give either `lattice`, or `alpha`, `beta`, `gamma` and `step`, not both")
        for bounds in (self.alpha, self.beta, self.gamma):
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"the lower bound {bounds[0]} is above the upper bound {bounds[1]}")
        return self


class Excite(_Checked):
    """Squeeze-and-excitation added to the base.

    Attributes:
        reduction: channels over hidden channels.
        skip_last_stage: leave out the stage that holds most of the weights.
        position: in blocks with a shortcut.
    """

    reduction: Annotated[float, Field(ge=1)] = 16
    skip_last_stage: bool = False
    position: Position = "standard"


class Limits(_Checked):
    """What a candidate may cost beside its FLOPs, at its native size.

    Attributes:
        params: trainable numbers.
        activations: outputs of convolutions and linear layers, for one image.
        memory: bytes of a training step with a batch of 32.
        latency: milliseconds for one image on the device.
    """

    params: Annotated[float, Field(gt=0)] | None = None
    activations: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[float, Field(gt=0)] | None = None
    latency: Annotated[float, Field(gt=0)] | None = None


class Proxy(_Checked):
    """The small network that stands in for the base while candidates are compared.

    Attributes:
        resolution: of the base's images, in pixels; early strides are dropped for small ones.
        width: factor on the base's channels; 1 keeps them.
        flops: in place of a width, what the proxy may cost, such as ``2M``; the widest that does is taken.
        depth: factor on the base's blocks, of which a few always stay; 1 keeps them, as shrinking does.
        divisor: channels of the proxy are multiples of this.
        upsample: images may be enlarged beyond their own size.
    """

    resolution: Annotated[int, Field(ge=4)]
    width: Annotated[float, Field(gt=0, le=1)] | None = None
    flops: str | None = None
    depth: Annotated[float, Field(gt=0, le=1)] = 1.0
    divisor: Annotated[int, Field(ge=1)] = 1
    upsample: bool = False

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.width is None) == (self.flops is None):
            raise ValueError("give either `width` such as 0.25, or `flops` such as 2M")
        parse_count(self.flops)
        return self


class Space(_Checked):
    """Everything that decides a search, but for where its data and its results lie.

    Attributes:
        about: one line for people.
        base: base network.
        se: squeeze-and-excitation added to the base, or none.
        budget: FLOPs at phi = 1.
        tolerance: largest relative difference of a candidate's measured FLOPs from the budget.
        limits: on candidates, beside the budget.
        grid: the points compared.
        rounding: of the native networks; without one, what suits the base's widths.
        data: data set.
        proxy: what is trained.
        recipe: how it is trained.
        rungs: epochs after which candidates are compared, ascending; the last is the recipe's.
        seeds: the most a candidate may get.
        strategy: which trainings are run.
        up_to: FLOPs as a factor on the base's, up to which growth is asked about.
    """

    about: str
    base: str = "effnet-b0"
    se: Excite | None = None
    budget: str = "2x"
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.03
    limits: Limits = Limits()
    grid: Grid = Grid(lattice=4)
    rounding: Rounding | None = None
    data: str = "fractals"
    proxy: Proxy
    recipe: Recipe = Recipe()
    rungs: tuple[Annotated[int, Field(ge=1)], ...]
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    strategy: str = "law"
    up_to: Annotated[float, Field(gt=0)] = 16.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.rungs) != sorted(set(self.rungs)) or not self.rungs:
            raise ValueError(f"rungs must be ascending epochs such as [1, 2, 4], not {list(self.rungs)}")
        if self.rungs[-1] != self.recipe.epochs:
            raise ValueError(
                f"the last rung is {self.rungs[-1]} epochs and the recipe has {self.recipe.epochs}: "
                "make them equal"
            )
        parse_budget(self.budget)
        return self

    def override(self, **values: Any) -> Space:
        """The space with some keys replaced (those given as None are kept), checked again.

        Raises:
            UserError: a value does not fit.
        """
        given = {key: value for key, value in values.items() if value is not None}
        try:
            return Space.model_validate({**self.model_dump(), **given})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"]) or "the search space"
            raise UserError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from error

    def with_se(self, reduction: float | None, *, skip_last_stage: bool) -> Space:
        """The space with squeeze-and-excitation added to its base, if a reduction is given.

        Raises:
            UserError: the reduction is no reduction, or the last stage is skipped without one.
        """
        if reduction is None:
            if skip_last_stage and self.se is None:
                raise UserError("--se-skip-last-stage needs --se, e.g. --se 16")
            return self
        return self.override(se={"reduction": reduction, "skip_last_stage": skip_last_stage})

    def with_limits(self, **limits: float | None) -> Space:
        """The space with some limits replaced; those given as None are kept.

        Raises:
            UserError: a limit is not positive.
        """
        given = {key: value for key, value in limits.items() if value is not None}
        return self.override(limits={**self.limits.model_dump(), **given}) if given else self


def read_space(name: str) -> Space:
    """A space by name (a file in ``search_spaces/``) or by path.

    Raises:
        UserError: there is no such space, or its file is wrong (with line and key).
    """
    directory = spaces_directory()
    path = Path(name) if name.endswith((".yaml", ".yml")) else directory / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in directory.glob("*.yaml")))
        raise UserError(f"there is no search space {name!r}: write a path to a YAML file, or one of {known}")
    return read_model(path, Space)
