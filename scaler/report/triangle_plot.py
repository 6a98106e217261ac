"""The share triangle: which part of the budget went to depth, width, resolution, and how well that did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaler.report.style import FAINT, INK, SOFT, new_figure, tip
from scaler.report.trial_means import at_highest_rung, at_shared_rung, means
from scaler.scaling.shares import PUBLISHED_SHARES

#: Corners of the triangle: depth at the top, width at the left, resolution at the right.
_CORNERS = np.array([[0.5, np.sqrt(0.75)], [0.0, 0.0], [1.0, 0.0]])
_SHARES = ["share_depth", "share_width", "share_resolution"]
_COLOURS = "viridis"
_PUBLISHED = "#D55E00"
#: Area of a dot (points squared) that was trained to the end; of those stopped at the first rung.
_LARGEST, _SMALLEST = 230.0, 90.0


def draw_triangle(
    candidates: pd.DataFrame,
    trials: pd.DataFrame,
    caption: str,
    best_set: Sequence[int] = (),
) -> Figure:
    """Candidates as dots in the triangle of shares.

    Colour is the mean validation accuracy at the highest rung that all candidates reached, for accuracies
    after trainings of different length do not compare; size grows with the rung that a candidate reached.

    Args:
        candidates: the table of ``candidates.csv``; points left out are small grey crosses.
        trials: the table of ``trials.csv``; candidates without a complete training are hollow.
        caption: what the accuracies are: data, proxy, seeds.
        best_set: candidates that cannot be told from the best, the chosen one first.
    """
    figure, axes = new_figure(6.3, "Where the budget should go", caption)
    axes.set_position((0.01, 0.02, 0.8, 0.82))
    axes.set_aspect("equal", anchor="SW")
    axes.axis("off")
    axes.set_xlim(-0.2, 1.24)
    axes.set_ylim(-0.15, 0.98)
    _draw_frame(axes)
    feasible = candidates["feasible"].fillna(False).astype(bool)
    axes.scatter(*_xy(candidates[~feasible]), s=26, color="#b5b5b5", marker="x", linewidths=1.3, zorder=2)
    x, y = np.array(astuple(PUBLISHED_SHARES)) @ _CORNERS
    axes.scatter(x, y, s=620, facecolors="none", edgecolors=_PUBLISHED, marker="s", linewidths=1.6, zorder=3)
    shown = _joined(candidates[feasible], trials)
    _draw_candidates(figure, axes, shown)
    _draw_rings(axes, shown, best_set)
    _legend(axes, shown, best_set, left_out=not feasible.all())
    return figure


def _xy(frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares as coordinates in the picture."""
    points: NDArray[np.float64] = frame[_SHARES].to_numpy(float) @ _CORNERS
    return points[:, 0], points[:, 1]


def _joined(feasible: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Candidates with ``accuracy`` and ``after`` (epochs) at the shared rung, and the area of their dots."""
    table = means(trials)
    if table.empty:
        return feasible.assign(accuracy=np.nan, after=np.nan, area=_SMALLEST)
    shared = at_shared_rung(table)[["candidate", "accuracy", "epochs"]].rename(columns={"epochs": "after"})
    reached = at_highest_rung(table)[["candidate", "rung"]]
    joined = feasible.merge(shared, on="candidate", how="left").merge(reached, on="candidate", how="left")
    rung = joined["rung"].to_numpy(float, na_value=0.0)
    longest = max(float(rung.max()), 1.0)
    full = rung.max() == rung.min()
    joined["area"] = _LARGEST if full else _SMALLEST + (_LARGEST - _SMALLEST) * rung / longest
    return joined


def _draw_frame(axes: Axes) -> None:
    for quarter in (0.25, 0.5, 0.75):
        for axis in range(3):
            ends = np.zeros((2, 3))
            ends[:, axis] = quarter
            ends[0, (axis + 1) % 3] = ends[1, (axis + 2) % 3] = 1 - quarter
            axes.plot(*(ends @ _CORNERS).T, color=FAINT, linewidth=0.9, zorder=0)
    axes.plot(*_CORNERS[[0, 1, 2, 0]].T, color=SOFT, linewidth=1.2, zorder=1)
    style: dict[str, Any] = {"fontsize": 13, "fontweight": "bold", "color": INK}
    axes.text(0.5, _CORNERS[0, 1] + 0.05, "all to depth", ha="center", va="bottom", **style)
    axes.text(0.07, -0.05, "all to width", ha="right", va="top", **style)
    axes.text(0.95, -0.05, "all to resolution", ha="left", va="top", **style)
    _label_quarters(axes)


def _label_quarters(axes: Axes) -> None:
    """The quarters of each share, along the lines that they name."""
    style: dict[str, Any] = {"fontsize": 9, "color": SOFT, "rotation_mode": "anchor", "va": "center"}
    for quarter in (0.25, 0.5, 0.75):
        rest, text = 1 - quarter, f"{quarter:.0%}"
        left, foot, right = np.array([[quarter, rest, 0], [0, quarter, rest], [rest, 0, quarter]]) @ _CORNERS
        axes.text(left[0] - 0.045, left[1], f"depth {text}", ha="right", **style)
        axes.text(foot[0] + 0.02, foot[1] - 0.035, f"width {text}", rotation=-60, ha="left", **style)
        axes.text(right[0] + 0.022, right[1] + 0.04, f"resolution {text}", rotation=60, ha="left", **style)


def _draw_candidates(figure: Figure, axes: Axes, shown: pd.DataFrame) -> None:
    (x, y), area = _xy(shown), shown["area"].to_numpy(float)
    accuracy = 100 * shown["accuracy"].to_numpy(float)
    known = ~np.isnan(accuracy)
    axes.scatter(x[~known], y[~known], s=area[~known], facecolors="white", edgecolors=SOFT, zorder=4)
    if not known.any():
        return
    norm = Normalize(accuracy[known].min(), max(accuracy[known].max(), accuracy[known].min() + 0.1))
    axes.scatter(
        x[known],
        y[known],
        s=area[known],
        c=accuracy[known],
        cmap=_COLOURS,
        norm=norm,
        edgecolors="white",
        linewidths=0.8,
        zorder=4,
    )
    for place, (_, row) in enumerate(shown.iterrows()):
        if known[place]:
            tip(axes, x[place], y[place], f"{row['network']}: {accuracy[place]:.1f} %")
    bar_axes = figure.add_axes((0.85, 0.16, 0.022, 0.44))
    bar = figure.colorbar(ScalarMappable(norm, _COLOURS), cax=bar_axes)
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=10.5, colors=INK, length=3)
    epochs = int(shown["after"].max())
    title = f"validation\naccuracy (%)\nafter {epochs} epoch{'s' if epochs > 1 else ''}"
    bar_axes.set_title(title, fontsize=10.5, color=INK, pad=10, loc="left")


def _draw_rings(axes: Axes, shown: pd.DataFrame, best_set: Sequence[int]) -> None:
    for ids, width, grown in (
        (set(best_set[1:]), 1.5, 110),
        (set(best_set[:1]), 3.0, 170),
    ):
        ring = shown[shown["candidate"].isin(list(ids))]
        axes.scatter(
            *_xy(ring),
            s=ring["area"] + grown,
            facecolors="none",
            edgecolors=INK,
            linewidths=width,
            zorder=5,
        )


def _legend(axes: Axes, shown: pd.DataFrame, best_set: Sequence[int], left_out: bool) -> None:
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": INK}
    longer = shown["area"].nunique() > 1
    entries: list[tuple[bool, str, dict[str, Any]]] = [
        (len(best_set) > 0, "chosen", {"s": 190, "linewidths": 3.0, **ring}),
        (len(best_set) > 1, "cannot be told from it", {"s": 170, "linewidths": 1.5, **ring}),
        (
            True,
            "published direction",
            {"s": 190, "facecolors": "none", "edgecolors": _PUBLISHED, "marker": "s"},
        ),
        (longer, "larger: trained longer", {"s": 90, "color": SOFT}),
        (
            bool(shown["accuracy"].isna().any()),
            "not trained",
            {"s": 90, "facecolors": "white", "edgecolors": SOFT},
        ),
        (left_out, "left out", {"s": 26, "color": "#b5b5b5", "marker": "x"}),
    ]
    handles = [axes.scatter([], [], label=text, **style) for wanted, text, style in entries if wanted]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        frameon=False,
        fontsize=10.5,
        labelcolor=INK,
    )
