"""Tables and sentences for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pandas as pd

from scaler.curves.scaling_law import Slope, overall_slope, slopes
from scaler.report.columns import Column, Row
from scaler.report.fitted import Cells, Fitted
from scaler.scaling.budget import format_count


def rich_table(frame: pd.DataFrame, columns: Sequence[Column]) -> Fitted:
    """Those columns that are meant for the terminal; rows on the front are bold."""
    rows = cast("list[dict[str, Any]]", frame.to_dict("records"))
    cells = [
        Cells(column.title, tuple(column.show(row) for row in rows), column.kind is not str, column.folds)
        for column in shown_columns(frame, columns)
        if column.show
    ]
    return Fitted(cells, ["bold" if row.get("on_front") is True else "" for row in rows])


def shown_columns(frame: pd.DataFrame, columns: Sequence[Column]) -> list[Column]:
    """Those that people read: they hold anything at all, and vary where that is asked for."""
    there = [c for c in columns if c.show and c.name in frame]
    there = [c for c in there if c.name == "accuracy" or frame.empty or frame[c.name].notna().any()]
    return [column for column in there if not column.varied or _varies(frame, column.name)]


def _varies(frame: pd.DataFrame, name: str) -> bool:
    return frame[name].nunique(dropna=False) > 1


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """The rows as JSON takes them: missing values are ``None``."""
    rows = cast("list[Row]", frame.to_dict("records"))
    return [{key: None if pd.isna(value) else value for key, value in row.items()} for row in rows]


def policies(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The networks of every policy, the cheapest first, each with the base (phi = 0) at its start.

    The base belongs to all policies and is written once in ``curve.csv``. Networks without an accuracy
    are left out.
    """
    trained = frame[frame["accuracy"].notna()]
    bases = trained[trained["phi"] == 0]
    for policy in trained["policy"].unique():
        own = trained[(trained["policy"] == policy) & (trained["phi"] != 0)]
        if own.empty and len(trained) > len(bases):
            continue
        yield str(policy), pd.concat([bases.head(1), own]).sort_values("flops")


def goes(frame: pd.DataFrame) -> str:
    """Which way the networks of a curve go from the base: coefficients below 1 shrink at a positive phi."""
    coefficients = frame.reindex(columns=["alpha", "beta", "gamma"]).astype(float)
    up = coefficients.prod(axis=1) >= 1  # unknown ones count as 1
    ways = frame["phi"].astype(float).where(up, -frame["phi"].astype(float))
    return "shrinks" if ways.max() <= 0 and ways.min() < 0 else "grows"


def doubling_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What a doubling of FLOPs gains, by policy, as plain data: over all networks and at each step."""
    rows: list[dict[str, Any]] = []
    for policy, own in policies(frame):
        points = [own[name].astype(float).tolist() for name in ("flops", "accuracy", "accuracy_stderr")]
        whole = overall_slope(*points)
        if whole is not None:
            steps = [_slope_row(step) for step in slopes(*points)]
            rows.append({"policy": policy, **_slope_row(whole), "steps": steps})
    return rows


def _slope_row(slope: Slope) -> dict[str, Any]:
    stderr = None if pd.isna(slope.stderr) else slope.stderr
    return {"flops": list(slope.flops), "gain": slope.gain, "stderr": stderr}


def growth_lines(frame: pd.DataFrame) -> list[str]:
    """One sentence per policy: what a doubling of FLOPs gains."""
    lines = []
    for policy, own in policies(frame):
        points = [own[name].astype(float).tolist() for name in ("flops", "accuracy", "accuracy_stderr")]
        whole = overall_slope(*points)
        if whole is None:
            continue
        low, high = (format_count(value) for value in whole.flops)
        line = f"{policy}: {_gain(whole.gain, whole.stderr)} points per doubling from {low} to {high} FLOPs"
        steps = slopes(*points)
        if len(steps) > 1:
            first, last = steps[0], steps[-1]
            line += f" (first {_gain(first.gain, first.stderr)}, last {_gain(last.gain, last.stderr)})"
        lines.append(line)
    return lines


def _gain(gain: float, stderr: float) -> str:
    text = f"{100 * gain:+.1f}"
    return text if pd.isna(stderr) else f"{text} ± {100 * stderr:.1f}"
