"""Reading the tables of a run back from its files, for the reports that are made of them alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import cast

import pandas as pd

from scaler.csv_files import read_csv
from scaler.errors import UserError
from scaler.growth.comparison import accuracies
from scaler.report.columns import (
    CANDIDATE_COLUMNS,
    CURVE_COLUMNS,
    EPOCHS_COLUMN,
    SCALING_COLUMNS,
    Column,
    Row,
    curve_frame,
    typed,
)
from scaler.report.trial_means import at_highest_rung, means
from scaler.runs import RUN_FILE, Run, load_run, newest_finished
from scaler.search.result import COEFFICIENTS_FILE, SearchResult, read_result

CURVE, CANDIDATES, TRIALS = "curve.csv", "candidates.csv", "trials.csv"
#: The trainings of a scaling whose files were put beside its search's, as in ``results/reference``.
SCALE_TRIALS = "scale-trials.csv"

_CURVE_NEEDS = ("network", "base", "policy", "phi", "flops", "accuracy", "accuracy_stderr", "seeds")
_CANDIDATES_NEED = (
    "candidate", "network", "share_depth", "share_width", "share_resolution", "flops", "feasible",
)  # fmt: skip
_TRIALS_NEED = ("candidate", "seed_index", "rung", "epochs", "accuracy", "state")


def find_run(results: Path, name: str | None, kind: str | None = None) -> Run:
    """A run by its directory or its name in ``results``; without either, the newest finished one (of a kind).

    A finished scaling goes before a finished search, and what was trained before what was only counted.
    A directory that holds the tables without a ``run.yaml`` is a run too, for tables outlive the runs that
    they come from.

    Raises:
        UserError: there is none.
    """
    if name is not None:
        return _named_run(results, name)
    kinds = (kind,) if kind else ("scale", "search")
    # A scaling that was only counted has no accuracies to show; it is taken where there is nothing else.
    for trained, each in product((True, False), kinds):
        if run := newest_finished(results, each, trained=trained):
            return run
    raise UserError(
        f"there is no finished run in {results}: run `scaler {kinds[-1]}` first, or name a run's directory"
    )


def find_runs(results: Path, names: Sequence[str]) -> list[Run]:
    """The runs of these names, each once; without a name the newest finished one.

    Raises:
        UserError: there is none.
    """
    found = [find_run(results, name) for name in names or (None,)]
    return list({run.path.resolve(): run for run in found}.values())


def _named_run(results: Path, name: str) -> Run:
    for path in (Path(name), results / name):
        if (path / RUN_FILE).is_file():
            return load_run(path)
        if (path / CURVE).is_file() or (path / CANDIDATES).is_file():
            return Run(path.resolve() if not path.name else path, "", {})
    there = sorted(file.parent.name for file in results.glob(f"*/{RUN_FILE}"))
    hint = f"there is {', '.join(there[-8:])}" if there else "there is none"
    raise UserError(f"there is no run {name!r}, neither as a directory nor in {results}; {hint}")


def read_curve(run: Run) -> pd.DataFrame:
    """The table of ``curve.csv``.

    Raises:
        UserError: it is not there or cannot be read.
    """
    return _read(run.path / CURVE, (*CURVE_COLUMNS, *SCALING_COLUMNS), _CURVE_NEEDS)


def read_candidates(run: Run) -> pd.DataFrame:
    """The table of ``candidates.csv``; raises as :func:`read_curve`."""
    return _read(run.path / CANDIDATES, CANDIDATE_COLUMNS, _CANDIDATES_NEED)


def scaling_trials(run: Run) -> str:
    """The name of the table with a scaling's trainings: ``trials.csv``, if no search's are there."""
    return SCALE_TRIALS if (run.path / CANDIDATES).is_file() else TRIALS


def read_trials(run: Run, name: str = TRIALS) -> pd.DataFrame:
    """The table of ``trials.csv``, of networks that the run has; raises as :func:`read_curve`."""
    numbers = (Column("accuracy", ""), Column("loss", ""))
    whole = tuple(Column(name, "", int) for name in ("candidate", "seed_index", "rung", "epochs"))
    trials = _read(run.path / name, (*whole, *numbers, Column("state", "", str)), _TRIALS_NEED)
    known = _trained(run, name)
    if known is not None and not (strange := trials[~trials["candidate"].isin(known)]).empty:
        raise UserError(
            f"{run.path / name} tells of candidate {strange['candidate'].iloc[0]}, which no other table of "
            "the run has; run the command again that made it"
        )
    return trials


def _trained(run: Run, name: str) -> pd.Series | None:
    """The numbers of what a run can have in its table of trainings, where another table says so."""
    if name == TRIALS and (run.path / CANDIDATES).is_file():
        return read_candidates(run)["candidate"]
    if (run.path / CURVE).is_file():
        return read_curve(run).get("training")
    return None


def read_scaling(run: Run) -> tuple[pd.DataFrame, dict[tuple[int, int], float]]:
    """The table of ``curve.csv``, and the accuracy of every training by (training, seed index).

    The latter is empty where nothing was trained, or where the trainings are not told in the curve.

    Raises:
        UserError: the run is no scaling, or a table cannot be read.
    """
    curve, name = read_curve(run), scaling_trials(run)
    if "training" not in curve or not (run.path / name).is_file():
        return curve, {}
    return curve, accuracies(read_trials(run, name))


def read_answer(run: Run) -> SearchResult | None:
    """The answer of a search; none before the end.

    Raises:
        UserError: the answer cannot be read.
    """
    return read_result(run) if (run.path / COEFFICIENTS_FILE).is_file() else None


def network_table(run: Run) -> pd.DataFrame:
    """The networks of a run with what they cost and their accuracies, in the columns of ``pareto.csv``.

    A scaling's are those of ``curve.csv``. A search's are its candidates at phi = 1, each with the mean
    validation accuracy over seeds at the highest rung that it reached (and ``epochs``, its length).

    Raises:
        UserError: the run has neither table, or one cannot be read.
    """
    if (run.path / CURVE).is_file():
        return read_curve(run)
    if not (run.path / CANDIDATES).is_file():
        raise UserError(f"{run.path} has no networks yet: it holds neither {CURVE} nor {CANDIDATES}")
    candidates = read_candidates(run)
    feasible = candidates[candidates["feasible"].fillna(False).astype(bool)]
    joined = feasible.merge(at_highest_rung(means(read_trials(run))), on="candidate", how="left")
    names = {column.name for column in CURVE_COLUMNS}
    kept = joined[[name for name in joined.columns if name in names or name == "epochs"]]
    base = run.configuration.get("space", {}).get("base", "")
    table = kept.assign(base=base, policy=joined["network"], phi=1.0)
    rows = cast("list[Row]", table.astype(object).where(table.notna(), None).to_dict("records"))
    return typed(curve_frame(rows), (EPOCHS_COLUMN,))


def _read(path: Path, columns: Sequence[Column], needed: Sequence[str]) -> pd.DataFrame:
    if not os.path.lexists(path):
        raise UserError(f"there is no {path}: the run was not finished, or the file was moved")
    frame = read_csv(path, needed)
    try:
        return typed(frame, columns)
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} is no table of Scaler's: {reason}; run the command again that made it"
        ) from error
