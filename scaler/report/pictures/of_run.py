"""All pictures of a run, from its tables alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from scaler.errors import UserError
from scaler.files import reported, write_bytes
from scaler.growth.law import growth_laws
from scaler.networks.spec_files import read
from scaler.report.answers.growth_law import Laws
from scaler.report.pictures.captions import caption
from scaler.report.pictures.curve_plot import draw_curve
from scaler.report.pictures.doubling_plot import draw_doublings
from scaler.report.pictures.history_plot import draw_history
from scaler.report.pictures.stages_plot import draw_stages
from scaler.report.pictures.style import Format, rendered
from scaler.report.pictures.triangle_plot import draw_triangle
from scaler.report.run_tables import (
    CANDIDATES,
    CURVE,
    TRIALS,
    read_answer,
    read_candidates,
    read_scaling,
    read_trials,
)
from scaler.report.trained_proxy import trained_proxy
from scaler.report.trial_means import at_highest_rung, means
from scaler.runs import Run

#: Pictures with their names.
Drawn = Sequence[tuple[str, Figure]]

#: The part of the data on which a scaling measures its networks.
_CURVE_PART = "test"


def pictures(run: Run) -> Iterator[tuple[str, Figure]]:
    """The pictures that a run's tables give, each with its name: ``curve``, ``stages``;
    ``triangle``, ``doublings``, ``history``.

    Raises:
        UserError: there is no table to draw, or one cannot be read.
    """
    searched = (run.path / CANDIDATES).is_file() and (run.path / TRIALS).is_file()
    if not searched and not (run.path / CURVE).is_file():
        raise UserError(f"{run.path} has nothing to draw: neither {CURVE} nor {CANDIDATES} with {TRIALS}")
    if (run.path / CURVE).is_file():
        frame, values = read_scaling(run)
        yield "curve", curve_picture(run, frame, growth_laws(frame, values) if values else {})
        yield from _stages(run, frame)
    if searched:
        yield from _search_pictures(run)


def save_pictures(
    run: Run, form: Format = "png", folder: Path | None = None, drawn: Drawn | None = None
) -> list[Path]:
    """Write the pictures of a run, or those already ``drawn``, into its directory or another folder.

    Gives their paths.

    Raises:
        UserError: as :func:`pictures`, or the folder cannot be written.
        MachineError: the disk is full.
    """
    target, option = folder or run.path, "--output" if folder else "--results"
    figures = pictures(run) if drawn is None else drawn
    files = [(target / f"{name}.{form}", rendered(figure, form)) for name, figure in figures]
    with reported(target, option):
        target.mkdir(parents=True, exist_ok=True)
    return [write_bytes(path, content, option) for path, content in files]


def curve_picture(run: Run, frame: pd.DataFrame, laws: Laws) -> Figure:
    """The accuracy-FLOPs curve of a run, with the band of every policy's law."""
    text = caption(run.configuration, _CURVE_PART, frame["seeds"], errors=True, found=trained_proxy(run))
    return draw_curve(frame, text, _CURVE_PART, laws)


def _stages(run: Run, frame: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Cost by stage of the base and of the chosen policy's largest network, where their specs are there."""
    chosen = frame[(frame["policy"] == frame["policy"].iloc[0]) | (frame["phi"] == 0)]
    ends = (chosen.loc[chosen["phi"].abs().idxmin()], chosen.loc[chosen["phi"].abs().idxmax()])
    files = {str(row["network"]): run.path / "networks" / f"{row['network']}.yaml" for row in ends}
    if len(files) > 1 and all(file.is_file() for file in files.values()):
        specs = {name: read(file) for name, file in files.items()}
        if all(spec.stages for spec in specs.values()):
            yield "stages", draw_stages(specs)


def _search_pictures(run: Run) -> Iterator[tuple[str, Figure]]:
    candidates, trials = read_candidates(run), read_trials(run)
    seeds = at_highest_rung(means(trials))["seeds"]
    text = caption(run.configuration, "validation", seeds, found=trained_proxy(run, scaling=False))
    named = candidates[candidates["candidate"].notna()]
    names = {int(row["candidate"]): str(row["network"]) for _, row in named.iterrows()}
    ids = {name: candidate for candidate, name in names.items()}
    answer = read_answer(run)
    best_set = [ids[name] for name in (answer.best_set if answer else ()) if name in ids]
    law = answer.law if answer else None
    yield "triangle", draw_triangle(candidates, trials, text, best_set, law)
    if answer:
        yield "doublings", draw_doublings(answer.law.gains, answer.base, text)
    yield "history", draw_history(trials, names, text, best_set)
