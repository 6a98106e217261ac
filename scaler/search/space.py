"""Search spaces: what a search compares, and how; YAML files, checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scaler.checked import Number, Whole
from scaler.errors import UserError
from scaler.networks.spec import Position
from scaler.registry import unknown
from scaler.scaling.budget import check_ratio, parse_budget, parse_count
from scaler.scaling.rounding import COARSEST, Rounding
from scaler.search.spaces_directory import space_files
from scaler.search.strategies.registry import parse_strategy
from scaler.training.recipe import LARGEST_MUON_RATE, MOST_EPOCHS, Recipe
from scaler.yaml_files import read_model, told

#: Points of a rectangular grid; each is a network to realise and to count, twice.
MOST_POINTS = 20_000
#: Pixels of the largest proxy.
LARGEST_PROXY = 1024

_Bound = Annotated[Number, Field(ge=0.01, le=100)]
Bounds = tuple[_Bound, _Bound]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grid(_Checked):
    """A lattice on the triangle of shares, or the paper's rectangular grid with a step.

    Attributes:
        lattice: divisions of each side; 4 gives 15 points.
        alpha, beta, gamma: bounds of a rectangular grid.
        step: of the rectangular grid.
    """

    lattice: Annotated[Whole, Field(ge=1, le=60)] | None = None
    alpha: Bounds | None = None
    beta: Bounds | None = None
    gamma: Bounds | None = None
    step: Annotated[Number, Field(ge=1e-6, le=100)] | None = None

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
        if self.points > MOST_POINTS:
            raise ValueError(
                f"the grid has {self.points:.3g} points, more than {MOST_POINTS:,}: take a larger step or "
                "narrower bounds"
            )
        return self

    @property
    def points(self) -> int:
        """How many points there are, before any is made."""
        if self.lattice is not None:
            return (self.lattice + 1) * (self.lattice + 2) // 2
        axes = [bounds for bounds in (self.alpha, self.beta, self.gamma) if bounds is not None]
        return math.prod(steps_within(low, high, self.step or 1) + 1 for low, high in axes)


def steps_within(low: float, high: float, step: float) -> int:
    """How many steps lead from the lower bound of a grid's axis to its upper one, none beyond it."""
    return math.floor((high - low) / step + 1e-6)  # 0.2 / 0.1 may be 1.9999999999999998


class Excite(_Checked):
    """Squeeze-and-excitation added to the base.

    Attributes:
        reduction: channels over hidden channels.
        skip_last_stage: leave out the stage that holds most of the weights.
        position: in blocks with a shortcut.
    """

    reduction: Annotated[Number, Field(ge=1, le=1_000_000)] = 16
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

    params: Annotated[Number, Field(gt=0)] | None = None
    activations: Annotated[Number, Field(gt=0)] | None = None
    memory: Annotated[Number, Field(gt=0)] | None = None
    latency: Annotated[Number, Field(gt=0)] | None = None


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

    resolution: Annotated[Whole, Field(ge=4, le=LARGEST_PROXY)]
    width: Annotated[Number, Field(gt=0, le=1)] | None = None
    flops: str | None = None
    depth: Annotated[Number, Field(gt=0, le=1)] = 1.0
    divisor: Annotated[Whole, Field(ge=1, le=COARSEST)] = 1
    upsample: bool = False

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.width is None) == (self.flops is None):
            raise ValueError("give either `width` such as 0.25, or `flops` such as 2M")
        return self

    @field_validator("flops")
    @classmethod
    def _count(cls, flops: str | None) -> str | None:
        if flops is not None:
            parse_count(flops)
        return flops


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
    tolerance: Annotated[Number, Field(gt=0, le=0.5)] = 0.03
    limits: Limits = Limits()
    grid: Grid = Grid(lattice=4)
    rounding: Rounding | None = None
    data: str = "fractals"
    proxy: Proxy
    recipe: Recipe = Recipe()
    rungs: tuple[Annotated[Whole, Field(ge=1, le=MOST_EPOCHS)], ...]
    seeds: Annotated[Whole, Field(ge=1, le=100)] = 3
    strategy: str = "law"
    up_to: Annotated[Number, Field(gt=0, le=1_000_000)] = 16.0

    @field_validator("recipe")
    @classmethod
    def _rate(cls, recipe: Recipe) -> Recipe:
        if recipe.optimiser == "muon" and recipe.learning_rate > LARGEST_MUON_RATE:
            raise ValueError(
                f"learning_rate is {recipe.learning_rate:g}, and at most {LARGEST_MUON_RATE:g} with "
                "`optimiser: muon`: give one such as 0.03"
            )
        return recipe

    @field_validator("rungs")
    @classmethod
    def _ascending(cls, rungs: tuple[int, ...], others: ValidationInfo) -> tuple[int, ...]:
        if list(rungs) != sorted(set(rungs)) or not rungs:
            raise ValueError("rungs must be ascending epochs such as [1, 2, 4]")
        recipe = others.data.get("recipe")  # not there if it is wrong itself
        if recipe is not None and rungs[-1] != recipe.epochs:
            raise ValueError(
                f"the last of the rungs is {rungs[-1]} epochs and the recipe has {recipe.epochs}: "
                "make them equal"
            )
        return rungs

    @field_validator("budget")
    @classmethod
    def _budget(cls, budget: str) -> str:
        parsed = parse_budget(budget)
        if parsed.relative:  # what FLOPs are of the base, the base has to tell
            check_ratio(budget, parsed.value)
        return budget

    @field_validator("strategy")
    @classmethod
    def _strategy(cls, strategy: str) -> str:
        parse_strategy(strategy)
        return strategy

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
            raise UserError(f"{key}: {told(first)}") from error

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
    if name.endswith((".yaml", ".yml")):
        return read_model(Path(name), Space)
    known = space_files()
    if name not in known:
        raise UserError(f"{unknown('search space', name, known)}; or write the path of a YAML file")
    return read_model(known[name], Space)
