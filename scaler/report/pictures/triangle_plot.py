"""The share triangle: which part of the budget went to depth, width, resolution, and how well that did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import mpltern  # noqa: F401  (gives matplotlib the projection "ternary")
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from scaler.report.pictures.style import FAINT, INK, SOFT, new_figure, tip
from scaler.report.trial_means import at_highest_rung, at_shared_rung, means
from scaler.scaling.shares import PUBLISHED_SHARES, Shares
from scaler.search.inference.law_summary import LEVEL, LawSummary
from scaler.words import counted

Array = NDArray[np.float64]

_SHARES = ["share_depth", "share_width", "share_resolution"]
_COLOURS = "viridis"
_PUBLISHED = "#D55E00"
#: Area of a dot (points squared) that was trained to the end; of those stopped at the first rung.
_LARGEST, _SMALLEST = 130.0, 50.0


def draw_triangle(
    candidates: pd.DataFrame,
    trials: pd.DataFrame,
    caption: str,
    best_set: Sequence[int] = (),
    law: LawSummary | None = None,
) -> Figure:
    """Candidates as dots in the triangle of shares, over the map of what the law believes.

    The map is the worth of every direction, below the best; the line round its best part holds the best
    shares at the largest size. Without a law the dots are coloured by the mean validation accuracy at the
    highest rung that all candidates reached, for trainings of different length do not compare. Dots grow
    with the rung that a candidate reached.

    Args:
        candidates: the table of ``candidates.csv``; points left out are small grey crosses.
        trials: the table of ``trials.csv``; candidates without a complete training are hollow.
        caption: what the accuracies are: data, proxy, seeds.
        best_set: candidates that cannot be told from the best, the chosen one first.
        law: of the search, once it is done.
    """
    figure, frame = new_figure(6.3, "Where the budget should go", caption)
    top = frame.get_position().y1
    figure.delaxes(frame)
    axes: Any = figure.add_axes((0.19, 0.18, 0.54, top - 0.25), projection="ternary")
    _axes(axes)
    feasible = candidates["feasible"].fillna(False).astype(bool)
    shown = _joined(candidates[feasible], trials)
    # Networks off the budget have no shares, and so no place here.
    left_out = candidates[~feasible & candidates["share_depth"].notna()]
    mapped = law is not None and bool(law.surface)
    if law is not None and mapped:
        _draw_map(figure, axes, law)
    axes.scatter(
        *_tlr(left_out),
        s=26,
        color="#b5b5b5",
        marker="x",
        linewidths=1.3,
        zorder=4,
        clip_on=False,
    )
    axes.scatter(
        *([share] for share in astuple(PUBLISHED_SHARES)),
        s=330, facecolors="none", edgecolors=_PUBLISHED, marker="s", linewidths=1.8, zorder=5, clip_on=False,
    )  # fmt: skip
    _draw_candidates(figure, axes, shown, coloured=not mapped)
    _draw_rings(axes, shown, best_set)
    _legend(axes, shown, best_set, top, left_out=len(left_out) > 0, mapped=mapped)
    return figure


def _axes(axes: Any) -> None:
    """Depth at the top, width at the left, resolution at the right; quarters are named along the sides."""
    axes.grid(color=FAINT, linewidth=0.9)
    axes.set_axisbelow(True)
    for axis, name in ((axes.taxis, "depth"), (axes.laxis, "width"), (axes.raxis, "resolution")):
        axis.set_ticks([0.25, 0.5, 0.75], [f"{name} {part}%" for part in (25, 50, 75)])
        axis.set_tick_params(labelsize=9, labelcolor=SOFT, color=SOFT, tick1On=True, pad=9)
        # Both are empty; left to itself, mpltern would lay out all ticks again and again to place them.
        axis.set_label_coords(0.5, 1.0)
    axes.set_title("", y=1.0)
    for spine in axes.spines.values():
        spine.set_color(SOFT)
    style: dict[str, Any] = {"fontsize": 13, "fontweight": "bold", "color": INK}
    axes.text(1.04, -0.02, -0.02, "all to depth", ha="center", va="bottom", **style)
    axes.text(0.0, 1.04, -0.04, "all to width", ha="right", va="center", **style)
    axes.text(0.0, -0.04, 1.04, "all to resolution", ha="left", va="center", **style)


def _tlr(frame: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Shares as coordinates of the triangle."""
    depth, width, resolution = frame[_SHARES].to_numpy(float).T
    return depth, width, resolution


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


def _draw_map(figure: Figure, axes: Any, law: LawSummary) -> None:
    """The worth of every direction, and the line round the shares that hold the best one."""
    depth, width, resolution = np.array([astuple(one.shares) for one in law.surface]).T
    worth = 100 * np.array([one.worth for one in law.surface])
    worth = worth - worth.max()
    levels = np.linspace(min(worth.min(), -0.1), 0, 13)
    axes.tricontourf(depth, width, resolution, worth, levels=levels, cmap=_COLOURS, zorder=0.5)
    outside = [_outside(one.shares, law) for one in law.surface]
    if min(outside) < 0 < max(outside):
        axes.tricontour(
            depth, width, resolution, outside, levels=[0.0], colors="white", linewidths=2.4, zorder=3
        )
    norm = Normalize(levels[0], 0)
    _colour_bar(figure, norm, "believed\naccuracy, less\nthe best's\n(points)")


def _outside(shares: Shares, law: LawSummary) -> float:
    """How far a direction lies outside the shares that hold the best one at the largest size; inside < 0."""
    last = law.path[-1]
    bounds = zip(astuple(shares), last.low, last.high, strict=True)
    return float(max(max(low - share, share - high) for share, low, high in bounds)) - 1e-3


def _colour_bar(figure: Figure, norm: Normalize, title: str) -> None:
    axes = figure.add_axes((0.87, 0.3, 0.022, 0.36))
    bar = figure.colorbar(ScalarMappable(norm, _COLOURS), cax=axes)
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=10.5, colors=INK, length=3)
    axes.set_title(title, fontsize=10.5, color=INK, pad=10, loc="left")


def _draw_candidates(figure: Figure, axes: Any, shown: pd.DataFrame, *, coloured: bool) -> None:
    where, area = np.array(_tlr(shown)), shown["area"].to_numpy(float)
    accuracy = 100 * shown["accuracy"].to_numpy(float)
    known = ~np.isnan(accuracy)
    axes.scatter(
        *where[:, ~known], s=area[~known], facecolors="none", edgecolors=SOFT, zorder=6, clip_on=False
    )
    if not known.any():
        return
    style: dict[str, Any] = {"color": "white", "edgecolors": INK, "linewidths": 1.0}
    epochs = int(shown["after"].max())
    title = f"validation\naccuracy (%)\nafter {counted(epochs, 'epoch')}"
    if coloured:
        norm = Normalize(accuracy[known].min(), max(accuracy[known].max(), accuracy[known].min() + 0.1))
        style = {"c": accuracy[known], "cmap": _COLOURS, "norm": norm, "edgecolors": "white"}
        _colour_bar(figure, norm, title)
    axes.scatter(*where[:, known], s=area[known], zorder=6, clip_on=False, **style)
    for place, (_, row) in enumerate(shown.iterrows()):
        if known[place]:
            words = f"{row['network']}: {accuracy[place]:.1f} % after {epochs} epoch{'s' * (epochs > 1)}"
            tip(axes, where[:, place], words)


def _draw_rings(axes: Any, shown: pd.DataFrame, best_set: Sequence[int]) -> None:
    for ids, width, grown in ((set(best_set[1:]), 1.5, 80), (set(best_set[:1]), 3.0, 130)):
        ring = shown[shown["candidate"].isin(list(ids))]
        drawn = axes.scatter(
            *_tlr(ring),
            s=ring["area"] + grown,
            facecolors="none",
            edgecolors=INK,
            linewidths=width,
            zorder=7,
            clip_on=False,
        )
        drawn.set_path_effects([withStroke(linewidth=width + 2, foreground="white")])


def _legend(
    axes: Any, shown: pd.DataFrame, best_set: Sequence[int], top: float, *, left_out: bool, mapped: bool
) -> None:
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": INK}
    longer = shown.loc[shown["accuracy"].notna(), "area"].nunique() > 1
    untrained = bool(shown["accuracy"].isna().any())
    trained = {"s": 70, "color": "white", "edgecolors": INK}
    entries: list[tuple[bool, str, dict[str, Any]]] = [
        (len(best_set) > 0, "chosen", {"s": 150, "linewidths": 3.0, **ring}),
        (len(best_set) > 1, "cannot be told from it", {"s": 130, "linewidths": 1.5, **ring}),
        (
            True,
            "published direction",
            {"s": 150, "facecolors": "none", "edgecolors": _PUBLISHED, "marker": "s"},
        ),
        (mapped, "trained", trained),
        (longer, "larger: trained longer", {"s": 90, "color": SOFT}),
        (untrained, "not trained", {"s": 70, "facecolors": "none", "edgecolors": SOFT}),
        (left_out, "left out", {"s": 26, "color": "#b5b5b5", "marker": "x"}),
    ]
    handles = [axes.scatter([], [], [], label=text, **style) for wanted, text, style in entries if wanted]
    if mapped:
        handles += axes.plot(
            [], [], [], color="white", linewidth=2.4, label=f"holds the best\nshares ({LEVEL:.0%})",
            path_effects=[withStroke(linewidth=4, foreground=SOFT)],
        )  # fmt: skip
    axes.figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.01, top), frameon=False, fontsize=10.5,
        labelcolor=INK,
    )  # fmt: skip
