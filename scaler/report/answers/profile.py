"""What a network costs, in sentences and in rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scaler.cost.profile import BlockCost, Profile
from scaler.scaling.budget import format_count
from scaler.scaling.multipliers import Multipliers

if TYPE_CHECKING:
    from scaler.cost.latency import Latency
    from scaler.cost.memory import Memory
    from scaler.networks.weights import Loaded


@dataclass(frozen=True)
class CostRow:
    """A cost: its name, its number, the same with its unit and with all digits, and what it is."""

    cost: str
    number: float
    value: str
    exactly: str
    note: str


def profile_lines(found: Profile, rounding: str) -> Iterator[str]:
    """The network, and what became of the multipliers that were asked for.

    Args:
        found: the network with its cost.
        rounding: name of the rule.
    """
    spec = found.spec
    yield f"{spec.name} at {spec.resolution} px, {spec.classes} classes"
    if spec.stages:
        depths, widths = ("-".join(map(str, values)) for values in (spec.depths, spec.widths))
        yield f"{spec.depth} blocks: {depths}, widths {widths}"
    if found.scaled:
        yield f"Asked for: {_words(found.nominal)} on {found.base.name} at {found.base.resolution} px."
        yield f"Realised ({rounding} rounding): {_words(found.effective)}."


def weights_line(loaded: Loaded) -> str:
    """Whose weights were loaded."""
    note = f" ({loaded.note})" if loaded.note else ""
    return f"Weights: all {loaded.tensors} tensors fit, by the names of {loaded.library}{note}."


def _words(multipliers: Multipliers) -> str:
    m = multipliers
    return f"depth {m.depth:.4g}, width {m.width:.4g}, resolution {m.resolution:.4g}"


def count_rows(found: Profile) -> Iterator[CostRow]:
    """What was counted."""
    notes = {
        "params": "trainable numbers",
        "flops": "fvcore's total for one image; a multiply-add is 1",
        "macs": "of convolutions and linear layers, as papers print",
        "activations": "outputs of convolutions and linear layers",
    }
    base = asdict(found.base_cost)
    for name, value in asdict(found.cost).items():
        note = f"{_times(value / base[name])} times the base" if found.scaled else notes[name]
        if name == "flops" and found.counted_by != "fvcore":
            note += f"; {found.counted_by}: too large for fvcore to run here"
        yield CostRow(name, value, format_count(value), f"{value:,}", note)


def _times(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 100 else f"{ratio:,.0f}"


def memory_rows(used: Memory) -> Iterator[CostRow]:
    """Peak memory in bytes."""
    how = "measured" if used.measured else "counted: all tensors alive at one time"
    for name, value in (("training", used.training), ("inference", used.inference)):
        note = f"peak with {_images(used.batch)}, {how}"
        yield CostRow(f"{name} memory", value, _bytes(value), f"{value:,}", note)


def latency_row(time: Latency) -> CostRow:
    """The time of inference in milliseconds."""
    threads = "" if time.device != "cpu" else f", {time.threads} thread{'s' * (time.threads > 1)}"
    note = (
        f"{_images(time.batch)} on {time.device}{threads}; median of {time.repetitions}, "
        f"middle half {_milliseconds(time.low)} to {_milliseconds(time.high)} ms"
    )
    return CostRow("latency", time.median, f"{_milliseconds(time.median)} ms", "", note)


def _milliseconds(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _images(number: int) -> str:
    return f"{number} image{'s' * (number > 1)}"


def _bytes(value: float) -> str:
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def block_row(block: BlockCost) -> tuple[str, ...]:
    """A block, the shape that leaves it, and its costs."""
    counts = (format_count(value) for value in asdict(block.cost).values())
    return block.name, " x ".join(map(str, block.out)), *counts
