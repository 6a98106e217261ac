"""What a network costs, as a function."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.api import checks
from scaler.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from scaler.cost.latency import Latency
    from scaler.cost.memory import Memory
    from scaler.cost.profile import BlockCost, Profile
    from scaler.networks.spec import NetworkSpec
    from scaler.networks.weights import Loaded
    from scaler.report.answers.profile import CostRow
    from scaler.scaling.multipliers import Multipliers
    from scaler.scaling.rounding import Rounding

#: A resolution of this or more is pixels, one below it a multiplier.
FEWEST_PIXELS = 8
_MEMORY_BATCH, _LATENCY_BATCH = 32, 1


@dataclass(frozen=True, repr=False)
class NetworkCost:
    """What a network costs.

    Attributes:
        profile: the network, its base and both counts.
        lines: the network in words.
        variant: what the small-image variant changed; empty without one.
        weights: what was loaded, if a file was given.
        memory: peak bytes of training and of inference, if asked for.
        latency: time of inference, if asked for.
    """

    profile: Profile
    lines: tuple[str, ...]
    variant: str = ""
    weights: Loaded | None = None
    memory: Memory | None = None
    latency: Latency | None = None

    @property
    def rows(self) -> tuple[CostRow, ...]:
        """Everything that was counted and measured."""
        from scaler.report.answers.profile import count_rows, latency_row, memory_rows

        rows = list(count_rows(self.profile))
        if self.memory is not None:
            rows += memory_rows(self.memory)
        if self.latency is not None:
            rows.append(latency_row(self.latency))
        return tuple(rows)

    @property
    def costs(self) -> pd.DataFrame:
        """A row for every cost: ``number`` as it is (bytes, milliseconds), ``value`` with its unit."""
        import pandas as pd

        return pd.DataFrame(map(asdict, self.rows)).set_index("cost").drop(columns="exactly")

    @property
    def blocks(self) -> tuple[BlockCost, ...]:
        """The cost of every block.

        Raises:
            UserError: the network is the user's own code, which nobody can look into.
        """
        from scaler.cost.profile import block_costs

        return tuple(block_costs(self.profile.spec))

    @property
    def layers(self) -> pd.DataFrame:
        """The same as a table."""
        import pandas as pd

        return pd.DataFrame({"block": b.name, "output": b.out, **asdict(b.cost)} for b in self.blocks)

    def __repr__(self) -> str:
        rows = (f"{row.cost:16} {row.value:>9}  {row.note}" for row in self.rows)
        return "\n".join([*self.lines, *rows])

    def _repr_html_(self) -> str:
        from scaler.report.page.fragment import fragment

        return fragment(self.lines) + self.costs[["value", "note"]].to_html(border=0)


def profile(
    base: str,
    *,
    depth: float | None = None,
    width: float | None = None,
    resolution: float | None = None,
    phi: float | None = None,
    small: int | None = None,
    se: float | None = None,
    se_skip_last_stage: bool = False,
    rounding: str = "search",
    classes: int | None = None,
    memory: bool = False,
    latency: bool = False,
    batch: int | None = None,
    weights: str | Path | None = None,
    device: str = "cpu",
) -> NetworkCost:
    """Count what a network costs: params, flops, macs, activations; memory and latency if asked for.

    The options are those of ``scaler profile``; docs/cli.md says what each means.

    Raises:
        UserError: an option is wrong, in one sentence.
        MachineError: the network does not fit into the memory.
    """
    from scaler.cost.profile import profile as profile_of
    from scaler.cost.profile import small_variant
    from scaler.networks.scale import small as small_of
    from scaler.report.answers.profile import profile_lines, weights_line

    checks.check_numbers(depth=depth, width=width, resolution=resolution, phi=phi)
    checks.check_numbers(small=small, se=se, classes=classes, batch=batch)
    if batch is not None and not (memory or latency):
        raise UserError(f"--batch {batch} is of --memory or --latency: give one of them, or leave it out")
    if memory or latency:
        checks.check(device=device)
    native = _native(base, classes, se, skip_last_stage=se_skip_last_stage)
    start = small_of(native, small) if small else native
    pixels = _pixels(resolution, phi, small)
    multipliers = _multipliers(depth, width, None if pixels else resolution, phi)
    found = profile_of(start, multipliers, _rule(rounding, native), pixels)
    lines = list(profile_lines(found, rounding))
    if phi is not None and depth is width is resolution is None:
        lines.append(f"These are the published coefficients at phi = {phi:g}.")
    variant = small_variant(start, native) if small else ""
    if variant:
        lines.append(f"Small-image variant: {variant}.")
    loaded = None if weights is None else _weights(found, Path(weights))
    if loaded:
        lines.append(weights_line(loaded))
    return NetworkCost(
        found,
        tuple(lines),
        variant,
        loaded,
        _memory(found, batch, device) if memory else None,
        _latency(found, batch, device) if latency else None,
    )


def _native(base: str, classes: int | None, se: float | None, *, skip_last_stage: bool) -> NetworkSpec:
    """The base with the classes and the squeeze-and-excitation asked for."""
    from scaler.networks.registry import base as find_base
    from scaler.networks.squeeze import with_se

    native = find_base(base).with_classes(classes) if classes else find_base(base)
    if se is not None:
        return with_se(native, se, skip_last_stage=skip_last_stage)
    if skip_last_stage:
        raise UserError("--se-skip-last-stage needs --se, e.g. --se 16")
    return native


def _rule(name: str, base: NetworkSpec) -> Rounding:
    """The rounding rule of that name, for this base."""
    from scaler.networks.scale import usual_rounding
    from scaler.scaling.rounding import OFFICIAL

    if name not in ("search", "official"):
        raise UserError(f"--rounding {name!r} is no rule: write search or official")
    return OFFICIAL if name == "official" else usual_rounding(base)


def _pixels(resolution: float | None, phi: float | None, small: int | None) -> int | None:
    """The resolution in pixels, if that is what was given."""
    if resolution is None or resolution < FEWEST_PIXELS:
        return None
    if resolution != int(resolution):
        raise UserError(
            f"--resolution {resolution:g} must be whole pixels up to {checks.MOST_PIXELS}, or a multiplier "
            f"below {FEWEST_PIXELS}"
        )
    if phi is not None:
        raise UserError(
            f"--resolution {resolution:g} is pixels, which --phi cannot raise to a power; "
            "give a multiplier such as 1.15"
        )
    if small is not None:
        raise UserError(
            f"--small {small} and --resolution {resolution:g} both give the pixels; "
            "give one of them, or --resolution as a multiplier"
        )
    return int(resolution)


def _multipliers(
    depth: float | None, width: float | None, resolution: float | None, phi: float | None
) -> Multipliers:
    from scaler.scaling.multipliers import PUBLISHED, Coefficients, Multipliers

    given = [1.0 if value is None else value for value in (depth, width, resolution)]
    if phi is None:
        return Multipliers(*given)
    if depth is width is resolution is None:
        return PUBLISHED.at(phi)
    Multipliers(*given)  # which says what is wrong with them
    return Coefficients(*given).at(phi)


def _weights(found: Profile, file: Path) -> Loaded:
    from scaler.networks.build import build
    from scaler.networks.weights import load_weights

    return load_weights(build(found.spec), file)


def _memory(found: Profile, batch: int | None, device: str) -> Memory:
    from scaler.cost.memory import memory
    from scaler.training.device import resolve

    return memory(found.spec, batch or _MEMORY_BATCH, resolve(device).torch)


def _latency(found: Profile, batch: int | None, device: str) -> Latency:
    from scaler.cost.latency import latency
    from scaler.training.device import resolve

    return latency(found.spec, batch or _LATENCY_BATCH, resolve(device).torch)
