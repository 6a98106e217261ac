"""The columns of Scaler's tables, once: CSV files, terminal tables and pictures all read from here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scaler.curves.pareto import Objective, front, is_objective
from scaler.scaling.budget import format_count
from scaler.scaling.shares import Shares
from scaler.search.candidates.candidate import Candidate, LeftOut
from scaler.search.candidates.off_budget import OffBudget

#: What ``on_front`` means where nobody asks for anything else.
DEFAULT_OBJECTIVES = (Objective("accuracy", maximised=True), Objective("flops"))

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: key in CSV files.
        title: header in the terminal, with the unit.
        kind: ``whole`` numbers keep all digits in CSV and may be missing.
        show: the cell in the terminal; a column without it is in files only.
        varied: shown only where its values differ from row to row.
        folds: sentences, which break into lines in the terminal.
    """

    name: str
    title: str
    kind: type = float
    show: Callable[[Row], str] | None = None
    varied: bool = False
    folds: bool = False


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _text(name: str) -> Callable[[Row], str]:
    return lambda row: "" if _missing(row[name]) else str(row[name])


def _number(name: str, form: str) -> Callable[[Row], str]:
    return lambda row: "" if _missing(row[name]) else format(row[name], form)


def _factor(name: str, digits: int) -> Callable[[Row], str]:
    return lambda row: "" if _missing(row[name]) else f"{row[name]:.{digits}f}x"


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: "" if _missing(row[name]) else format_count(row[name])


def _accuracy(row: Row) -> str:
    return percent(row["accuracy"], row.get("accuracy_stderr"))


def percent(accuracy: float | None, stderr: float | None = None) -> str:
    """A fraction as people read it: ``78.1`` or ``78.1 ± 0.4``; ``-`` if there is none."""
    if _missing(accuracy) or accuracy is None:
        return "-"
    if _missing(stderr) or stderr is None:
        return f"{100 * accuracy:.1f}"
    return f"{100 * accuracy:.1f} ± {100 * stderr:.1f}"


def _difference(row: Row) -> str:
    if _missing(row["difference"]):
        return ""
    ends = [row["difference_low"], row["difference_high"]]
    text = f"{100 * row['difference']:+.1f}"
    return text if any(map(_missing, ends)) else f"{text} [{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}]"


def _star(row: Row) -> str:
    return "*" if row["on_front"] else ""


#: ``curve.csv`` and ``pareto.csv``: a row per network.
CURVE_COLUMNS = (
    Column("network", "network", str),
    Column("base", "base", str, _text("base"), varied=True),
    Column("policy", "policy", str, _text("policy")),
    Column("phi", "phi", float, _number("phi", "g"), varied=True),
    Column("alpha", "alpha"),
    Column("beta", "beta"),
    Column("gamma", "gamma"),
    Column("depth", "depth", float, _factor("depth", 2)),
    Column("width", "width", float, _factor("width", 2)),
    Column("resolution", "pixels", int, _number("resolution", "d")),
    Column("flops", "FLOPs", int, _count("flops")),
    Column("macs", "MACs", int),
    Column("params", "params", int, _count("params")),
    Column("activations", "acts", int, _count("activations")),
    Column("accuracy", "accuracy %", float, _accuracy),
    Column("accuracy_stderr", "± %"),
    Column("seeds", "seeds", int, _number("seeds", "d")),
    Column("on_front", "front", bool, _star),
)

#: Further columns of a scaling: which training of ``trials.csv`` a network has (those with the same proxy
#: share one), and how far its accuracy is from the chosen policy's at the same phi, with its 95 % interval.
SCALING_COLUMNS = (
    Column("training", "training", int),
    Column("flops_ratio", "of base", float, _factor("flops_ratio", 3)),
    Column("proxy_ratio", "its proxy", float, _factor("proxy_ratio", 3)),
    Column("difference", "vs chosen", float, _difference, varied=True),
    Column("difference_low", "from"),
    Column("difference_high", "to"),
)

#: Cost columns that are measured on request, by the beginning of their names: header and format.
_MEASURED: dict[str, tuple[str, Callable[[float], str]]] = {
    "memory_training": ("train MiB", lambda value: f"{value / 2**20:.0f}"),
    "memory_inference": ("infer MiB", lambda value: f"{value / 2**20:.0f}"),
    "latency_ms": ("ms", lambda value: f"{value:.3g}"),
    "latency_spread_ms": ("± ms", lambda value: f"{value:.2g}"),
    "latency_batch_ms": ("batch ms", lambda value: f"{value:.3g}"),
}


def cost_columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Columns of the costs that a table holds beyond the counts."""
    known = {column.name for column in (*CURVE_COLUMNS, *SCALING_COLUMNS)}
    return tuple(
        cost_column(str(name)) for name in frame if is_objective(str(name)) and str(name) not in known
    )


def cost_column(name: str) -> Column:
    """A column for a cost that a table holds beyond the counts."""
    title, said = _MEASURED.get(name, (name, "{:.4g}".format))
    return Column(name, title, float, lambda row: "" if _missing(row[name]) else said(row[name]), varied=True)


#: Further columns of a Pareto table of several runs, or of a search.
NETWORK_COLUMN = Column("network", "network", str, _text("network"))
RUN_COLUMN = Column("run", "run", str, _text("run"), varied=True)
EPOCHS_COLUMN = Column("epochs", "epochs", int, _number("epochs", "d"))

#: ``candidates.csv``: a row per candidate, then a row per point left out.
CANDIDATE_COLUMNS = (
    Column("candidate", "id", int, _number("candidate", "d")),
    Column("network", "candidate", str, _text("network")),
    Column("aliases", "same network as", str),
    Column("share_depth", "share: d", float, _number("share_depth", ".2f")),
    Column("share_width", "w", float, _number("share_width", ".2f")),
    Column("share_resolution", "r", float, _number("share_resolution", ".2f")),
    Column("alpha", "alpha"),
    Column("beta", "beta"),
    Column("gamma", "gamma"),
    Column("depth", "depth", float, _factor("depth", 2)),
    Column("width", "width", float, _factor("width", 2)),
    Column("resolution", "pixels", int, _number("resolution", "d")),
    Column("flops", "FLOPs", int, _count("flops")),
    Column("macs", "MACs", int),
    Column("params", "params", int, _count("params")),
    Column("activations", "acts", int, _count("activations")),
    Column("flops_ratio", "of base", float, _factor("flops_ratio", 3)),
    Column("proxy_depth", "proxy depth"),
    Column("proxy_width", "proxy width"),
    Column("proxy_resolution", "proxy pixels", int, _number("proxy_resolution", "d")),
    Column("proxy_flops", "proxy FLOPs", int, _count("proxy_flops")),
    Column("proxy_flops_ratio", "of base", float, _factor("proxy_flops_ratio", 3)),
    Column("multiplier_gap", "gap", float, _number("multiplier_gap", ".1%")),
    Column("feasible", "feasible", bool),
    Column("reason", "left out because", str, _text("reason"), folds=True),
)

#: For :meth:`scaler.runs.Run.write_csv`: six digits are more than any accuracy has.
CSV_FORMATS = {
    c.name: ".6g" for c in (*CURVE_COLUMNS, *SCALING_COLUMNS, *CANDIDATE_COLUMNS) if c.kind is float
}

_PLANNED = (
    "network", "depth", "width", "resolution", "flops", "flops_ratio",
    "proxy_resolution", "proxy_flops_ratio", "multiplier_gap", "reason",
)  # fmt: skip
#: What a dry run shows of the candidates, narrow enough for a terminal.
PLAN_COLUMNS = tuple(column for column in CANDIDATE_COLUMNS if column.name in _PLANNED)


def frame_of(rows: Sequence[Row], columns: Sequence[Column]) -> pd.DataFrame:
    """A table with these columns in order, then what else the rows hold; what a row lacks is missing."""
    known = [column.name for column in columns]
    extra = list(dict.fromkeys(key for row in rows for key in row if key not in known))
    frame = pd.DataFrame(list(rows), columns=[*known, *extra])
    return typed(frame, columns)


def typed(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The table with every known column in its type.

    Raises:
        ValueError, TypeError: a value has another type.
    """
    kinds: dict[type, Any] = {int: "Int64", float: "float64", bool: "boolean", str: "str"}
    there = [column for column in columns if column.name in frame]
    return frame.astype({column.name: kinds[column.kind] for column in there})


def curve_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The table of ``curve.csv`` from rows keyed by its columns; further keys become cost columns at the end.

    ``on_front`` is computed here, for accuracy against FLOPs. Accuracies are fractions.
    """
    frame = typed(frame_of(rows, CURVE_COLUMNS), SCALING_COLUMNS)
    frame["on_front"] = front(frame, DEFAULT_OBJECTIVES)
    return frame


def candidate_frame(
    candidates: Sequence[Candidate], left_out: Sequence[LeftOut] = (), off_budget: Sequence[OffBudget] = ()
) -> pd.DataFrame:
    """The table of ``candidates.csv``: candidates, networks off the budget, points left out and why."""
    rows = [_candidate_row(candidate) for candidate in candidates]
    rows += [_off_budget_row(len(candidates) + i, network) for i, network in enumerate(off_budget)]
    return frame_of([*rows, *(_left_out_row(point) for point in left_out)], CANDIDATE_COLUMNS)


def _candidate_row(candidate: Candidate) -> dict[str, object]:
    native, proxy, found = candidate.native, candidate.proxy, candidate.coefficients
    return {
        "candidate": candidate.id,
        "network": candidate.point.name,
        "aliases": "; ".join(candidate.aliases),
        **_shares(candidate.point.shares),
        "alpha": found.alpha,
        "beta": found.beta,
        "gamma": found.gamma,
        "depth": native.effective.depth,
        "width": native.effective.width,
        "resolution": native.spec.resolution,
        "flops": native.cost.flops,
        "macs": native.cost.macs,
        "params": native.cost.params,
        "activations": native.cost.activations,
        "flops_ratio": native.ratio,
        "proxy_depth": proxy.effective.depth,
        "proxy_width": proxy.effective.width,
        "proxy_resolution": proxy.spec.resolution,
        "proxy_flops": proxy.cost.flops,
        "proxy_flops_ratio": proxy.ratio,
        "multiplier_gap": native.effective.largest_difference(proxy.effective),
        "feasible": True,
        "reason": "",
    }


def _off_budget_row(number: int, network: OffBudget) -> dict[str, object]:
    proxy = network.proxy
    return {
        "candidate": number,
        "network": network.name,
        "aliases": "",
        "proxy_depth": proxy.effective.depth,
        "proxy_width": proxy.effective.width,
        "proxy_resolution": proxy.spec.resolution,
        "proxy_flops": proxy.cost.flops,
        "proxy_flops_ratio": proxy.ratio,
        "feasible": False,
        "reason": "off the budget: trained only for what it tells",
    }


def _left_out_row(left: LeftOut) -> dict[str, object]:
    return {
        "network": left.point.name,
        "aliases": "",
        **_shares(left.point.shares),
        "alpha": left.point.target.alpha,
        "beta": left.point.target.beta,
        "gamma": left.point.target.gamma,
        "flops_ratio": left.ratio,
        "feasible": False,
        "reason": left.reason,
    }


def _shares(shares: Shares) -> dict[str, object]:
    return {
        "share_depth": shares.depth,
        "share_width": shares.width,
        "share_resolution": shares.resolution,
    }
