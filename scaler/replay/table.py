"""A recorded table of trainings: every candidate with every seed at every epoch, as one CSV file."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.files import write_bytes
from scaler.scaling.shares import Shares

Array = NDArray[np.float64]

#: Columns of a table; lines that start with ``#`` say which command made it.
COLUMNS = (
    "candidate",
    "share_depth",
    "share_width",
    "share_resolution",
    "seed_index",
    "epochs",
    "images",
    "train_flops",
    "accuracy",
    "loss",
)
_SHARES = list(COLUMNS[1:4])
#: What columns were called in older tables.
_OLDER = {"seed": "seed_index"}


@dataclass(frozen=True)
class Table:
    """Trainings of ``C`` candidates with ``S`` seeds over ``E`` epochs.

    Attributes:
        name: for reports; the file's name without its ending.
        experiment: the candidates; its rungs are the recorded epochs, its seeds the recorded ones.
        accuracy: ``[C, S, E]`` in [0, 1]; 0 from where a training diverged.
        loss: ``[C, S, E]`` in nats; NaN from where a training diverged.
        images: ``[E]``, training images seen.
    """

    name: str
    experiment: Experiment
    accuracy: Array
    loss: Array
    images: NDArray[np.int64]

    def observe(self, trial: TrialSpec) -> list[Observation]:
        """What a search would have seen of this training: every rung up to the one asked for."""
        result = []
        for rung in range(trial.rung + 1):
            epochs = self.experiment.rungs[rung]
            loss = float(self.loss[trial.candidate, trial.seed_index, rung])
            result.append(
                Observation(
                    candidate=trial.candidate,
                    seed_index=trial.seed_index,
                    rung=rung,
                    epochs=epochs,
                    images=int(self.images[rung]),
                    train_flops=round(self.experiment.epoch_flops[trial.candidate] * epochs),
                    accuracy=float(self.accuracy[trial.candidate, trial.seed_index, rung]),
                    loss=loss,
                    seconds=0.0,
                    state="complete" if np.isfinite(loss) else "diverged",
                )
            )
        return result


def observations(table: Table) -> list[Observation]:
    """Everything that a table holds."""
    last = len(table.experiment.rungs) - 1
    candidates, seeds = range(len(table.experiment.shares)), range(table.experiment.max_seeds)
    return [o for c in candidates for s in seeds for o in table.observe(TrialSpec(c, s, last))]


def read_table(path: Path) -> Table:
    """Read a table from a CSV file, or from a run's directory (``trials.csv`` with ``candidates.csv``).

    Raises:
        UserError: there is no such file, a column or a training is missing, or a value is no number.
    """
    frame = _read_run(path) if path.is_dir() else _read_csv(path, COLUMNS)
    for column in set(COLUMNS) - {"loss"}:
        bad = pd.to_numeric(frame[column], errors="coerce").isna()
        if bad.any():
            raise UserError(
                f"{path}: column {column} holds {frame[column][bad].iloc[0]!r}, which is no number"
            )
    if frame.empty:
        raise UserError(f"{path} holds no training")
    return _to_table(path, frame.astype(dict.fromkeys(COLUMNS, float)))


def write_table(table: Table, path: Path, command: str) -> None:
    """Write a table with the command that made it; :func:`read_table` gives the same again."""
    experiment = table.experiment
    rows = [
        (
            c,
            *astuple(experiment.shares[c]),
            s,
            epochs,
            table.images[e],
            round(experiment.epoch_flops[c] * epochs),
            f"{table.accuracy[c, s, e]:.6f}",
            f"{table.loss[c, s, e]:.6f}",
        )
        for c in range(len(experiment.shares))
        for s in range(experiment.max_seeds)
        for e, epochs in enumerate(experiment.rungs)
    ]
    text = pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False)
    write_bytes(path, f"# {command}\n{text}".encode())


def _read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, comment="#")
    except FileNotFoundError:
        raise UserError(f"there is no table {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no CSV table: {error}") from None
    frame = frame.rename(columns=_OLDER)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}; a table has {', '.join(columns)}")
    return frame


def _read_run(path: Path) -> pd.DataFrame:
    shares = _read_csv(path / "candidates.csv", ("candidate", *_SHARES))
    trials = _read_csv(path / "trials.csv", tuple(c for c in COLUMNS if c not in _SHARES))
    return trials.merge(shares[["candidate", *_SHARES]], on="candidate", how="left")


def _to_table(path: Path, frame: pd.DataFrame) -> Table:
    keys = ["candidate", "seed_index", "epochs"]
    twice = frame.duplicated(keys)
    if twice.any():
        raise UserError(f"{path} holds {_row_name(frame[twice].iloc[0])} twice")
    levels = [sorted(frame[key].unique()) for key in keys]
    full = frame.set_index(keys).reindex(pd.MultiIndex.from_product(levels, names=keys))
    diverged = full["loss"].isna() & full["accuracy"].notna()
    stopped = diverged.groupby(level=[0, 1]).cummax()
    full.loc[stopped, ["accuracy", "loss"]] = (0.0, np.nan)
    missing = full["accuracy"].isna()
    if missing.any():
        hole = dict(zip(keys, full.index[missing.to_numpy()][0], strict=True))
        raise UserError(
            f"{path} lacks {_row_name(hole)}: a table holds every candidate x seed x epoch, "
            "as `scaler search --strategy exhaustive` records them"
        )
    shape = (len(levels[0]), len(levels[1]), len(levels[2]))
    grids = {column: full[column].to_numpy().reshape(shape) for column in COLUMNS if column not in keys}
    experiment = Experiment(
        shares=tuple(_shares(*values) for values in zip(*(grids[s][:, 0, 0] for s in _SHARES), strict=True)),
        epoch_flops=tuple(np.nanmax(grids["train_flops"] / np.array(levels[2]), axis=(1, 2))),
        rungs=tuple(int(epochs) for epochs in levels[2]),
        max_seeds=shape[1],
        seed=0,
    )
    return Table(
        path.stem,
        experiment,
        grids["accuracy"],
        grids["loss"],
        np.nanmax(grids["images"], axis=(0, 1)).astype(int),
    )


def _shares(*printed: float) -> Shares:
    """Shares as files hold them, with six digits, whose sum may be off by as many halves of the last one."""
    total = sum(printed)
    return Shares(*(value / total for value in printed)) if abs(total - 1) < 1e-5 else Shares(*printed)


def _row_name(row: pd.Series | dict[str, float]) -> str:
    return f"candidate {row['candidate']:.0f}, seed index {row['seed_index']:.0f}, epoch {row['epochs']:.0f}"
