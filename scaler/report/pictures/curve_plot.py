"""The accuracy-FLOPs curve: one line per policy, with standard errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaler.curves.growth_law import GrowthLaw
from scaler.report.answers.growth_law import Laws
from scaler.report.columns import percent
from scaler.report.pictures.style import (
    INK,
    SHADE,
    SOFT,
    WIDTH,
    Label,
    flops_axis,
    label_lines,
    new_figure,
    plain,
    style_of,
    tip,
)
from scaler.report.tables import goes, policies
from scaler.scaling.budget import format_count

#: Inches between two phi labels, below which the second is left out.
_PHI_ROOM = 0.5


def draw_curve(
    frame: pd.DataFrame, caption: str, part: str = "validation", laws: Laws | None = None
) -> Figure:
    """Accuracy against FLOPs from the table of ``curve.csv``; its first policy, the chosen one, stands out.

    As figure 8 of Tan & Le 2019, with standard errors.

    Args:
        frame: columns of ``curve.csv``; networks without an accuracy are left out.
        caption: what the accuracies are: data, proxy, seeds.
        part: of the data that the accuracy is measured on, for the axis.
        laws: growth laws by policy; a band shows where each lets another measurement be expected.
    """
    figure, axes = new_figure(5.6, f"Accuracy of {_bases(frame)} as it {goes(frame)}", caption)
    lines = list(policies(frame))
    _axes(axes, frame, part)
    if not lines:
        axes.text(0.5, 0.5, "no network has been trained", transform=axes.transAxes, ha="center", color=SOFT)
        return figure
    names = [name for name, _ in lines]
    labels = []
    for name, own in lines:
        colour, marker = style_of(name, names)
        _draw_policy(axes, own, colour, marker, chosen=name == names[0])
        law = (laws or {}).get(name)
        if isinstance(law, GrowthLaw):
            _draw_band(axes, law, colour, chosen=name == names[0])
        last = own.iloc[-1]
        labels.append(Label(name, last["flops"], 100 * last["accuracy"], colour, bold=name == names[0]))
    _mark_phi(axes, frame)
    label_lines(axes, labels)
    return figure


def _bases(frame: pd.DataFrame) -> str:
    return ", ".join(str(base) for base in frame["base"].dropna().unique()) or "the network"


def _axes(axes: Axes, frame: pd.DataFrame, part: str) -> None:
    flops = frame["flops"].astype(float)
    plain(axes)
    flops_axis(axes, float(flops.min()), float(flops.max()))
    axes.set_xlabel(
        "FLOPs of the network, one image at its native size (log scale)", fontsize=11.5, color=INK
    )
    axes.set_ylabel(f"{part} accuracy (%)", fontsize=11.5, color=INK)


def _draw_policy(axes: Axes, own: pd.DataFrame, colour: str, marker: str, chosen: bool) -> None:
    flops = own["flops"].to_numpy(float)
    accuracy = 100 * own["accuracy"].to_numpy(float)
    errors = np.nan_to_num(100 * own["accuracy_stderr"].to_numpy(float))
    axes.errorbar(
        flops,
        accuracy,
        yerr=errors if errors.any() else None,
        color=colour,
        marker=marker,
        markersize=7.5 if chosen else 6.5,
        markeredgecolor="white",
        markeredgewidth=0.8,
        linewidth=2.4 if chosen else 1.6,
        elinewidth=1.3,
        capsize=3,
        zorder=4 if chosen else 3,
    )
    for (_, row), error in zip(own.iterrows(), errors, strict=True):
        name = "base" if row["phi"] == 0 else f"{row['policy']}, φ = {row['phi']:g}"
        words = (
            f"{name}: {percent(row['accuracy'], error / 100 or None)} %, {format_count(row['flops'])} FLOPs"
        )
        tip(axes, (row["flops"], 100 * row["accuracy"]), words)


def _draw_band(axes: Axes, law: GrowthLaw, colour: str, chosen: bool) -> None:
    flops = np.geomspace(law.smallest, law.largest, 40)
    found = [law.accuracy(float(value), measured=True) for value in flops]
    low, high = ([100 * getattr(one, end) for one in found] for end in ("low", "high"))
    axes.fill_between(flops, low, high, color=colour, alpha=0.16 if chosen else 0.08, linewidth=0, zorder=1)


def _mark_phi(axes: Axes, frame: pd.DataFrame) -> None:
    """A grey band over the networks of each phi, with its value at the foot where there is room."""
    axes.margins(y=0.12)
    axes.autoscale_view(scalex=False)
    width = axes.get_position().width * WIDTH
    low, high = np.log(axes.get_xlim())
    before = -np.inf
    trained = frame[frame["accuracy"].notna()]
    # From the left, which is not from the base where networks shrink.
    for phi, group in sorted(trained.groupby("phi"), key=lambda one: one[1]["flops"].mean()):
        logs = np.log(group["flops"].to_numpy(float))
        centre = float(logs.mean())
        axes.axvspan(
            np.exp(logs.min() - 0.006 * (high - low)),
            np.exp(logs.max() + 0.006 * (high - low)),
            color=SHADE,
            linewidth=0,
            zorder=0,
        )
        inches = (centre - low) / (high - low) * width
        if inches - before < _PHI_ROOM:
            continue
        before = inches
        axes.text(
            float(np.exp(centre)),
            0.015,
            f"φ = {phi:g}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=10.5,
            color=SOFT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
