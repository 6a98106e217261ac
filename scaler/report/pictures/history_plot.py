"""How the candidates' accuracies rose with training; those stopped early end early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from scaler.report.pictures.style import INK, SOFT, Label, label_lines, new_figure, plain
from scaler.report.trial_means import means

_RANKS = ("stopped early", "trained to the end", "cannot be told from the chosen", "chosen")
#: Colour, line width and marker size of each.
_LOOKS = (("#c4c4c4", 1.1, 3.0), ("#8a8a8a", 1.3, 3.5), ("#56B4E9", 1.8, 4.5), ("#0072B2", 2.6, 6.0))
#: Colours of the labels; light blue is too faint for letters.
_INKS = (SOFT, INK, "#2a7fae", "#0072B2")
#: Height of an entry of the legend, as a part of the lines' own.
_ENTRY = 0.075
#: Candidates with a label of their own.
_MOST_LABELS = 10


def draw_history(
    trials: pd.DataFrame,
    names: Mapping[int, str],
    caption: str,
    best_set: Sequence[int] = (),
) -> Figure:
    """Mean validation accuracy at every rung, one line per candidate.

    Args:
        trials: the table of ``trials.csv``.
        names: of candidates, for the labels.
        caption: what the accuracies are: data, proxy, seeds.
        best_set: candidates that cannot be told from the best, the chosen one first.
    """
    figure, axes = new_figure(5.6, "Accuracy of the networks as they train", caption)
    plain(axes)
    axes.set_ylabel("validation accuracy (%)", fontsize=11.5, color=INK)
    table = means(trials)
    if table.empty:
        axes.text(0.5, 0.5, "no training is complete", transform=axes.transAxes, ha="center", color=SOFT)
        return figure
    _epochs_axis(axes, sorted({int(epochs) for epochs in table["epochs"]}))
    longest = int(table["epochs"].max())
    ends: list[tuple[int, float, int]] = []
    for candidate in sorted({int(candidate) for candidate in table["candidate"]}):
        own = table[table["candidate"] == candidate].sort_values("epochs")
        finished = int(own["epochs"].max()) == longest
        rank = 3 if candidate in best_set[:1] else 2 if candidate in best_set else int(finished)
        _draw_line(axes, own, rank)
        if finished:
            ends.append((rank, 100 * float(own["accuracy"].iloc[-1]), candidate))
    axes.margins(y=0.08)
    axes.autoscale_view()
    _leave_room(axes)
    labels = [
        Label(names.get(candidate, str(candidate)), longest, accuracy, _INKS[rank], bold=rank == 3)
        for rank, accuracy, candidate in sorted(ends, reverse=True)[:_MOST_LABELS]
    ]
    label_lines(axes, labels, size=10)
    _legend(axes)
    return figure


def _draw_line(axes: Axes, own: pd.DataFrame, rank: int) -> None:
    colour, line, marker = _LOOKS[rank]
    axes.plot(
        own["epochs"].to_numpy(float),
        100 * own["accuracy"].to_numpy(float),
        color=colour,
        label=_RANKS[rank],
        linewidth=line,
        marker="o",
        markersize=marker,
        zorder=2 + rank,
    )


def _leave_room(axes: Axes) -> None:
    """A band below the lines, as high as the legend that stands there."""
    low, high = axes.get_ylim()
    entries = len(set(axes.get_legend_handles_labels()[1]))
    axes.set_ylim(low - _ENTRY * entries * (high - low), high)


def _legend(axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    one = dict(zip(names, handles, strict=True))
    shown = [name for name in reversed(_RANKS) if name in one]
    axes.legend(
        [one[name] for name in shown], shown, loc="lower right", frameon=False, fontsize=10.5, labelcolor=INK
    )


def _epochs_axis(axes: Axes, epochs: list[int]) -> None:
    """A tick per rung; a log axis where the rungs are far apart."""
    scale = ""
    if len(epochs) > 2 and epochs[-1] >= 4 * epochs[0]:
        axes.set_xscale("log")
        scale = " (log scale)"
    axes.set_xlabel(f"epochs{scale}", fontsize=11.5, color=INK)
    axes.xaxis.set_major_locator(FixedLocator([float(value) for value in epochs]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
