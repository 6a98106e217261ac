"""A recorded table of trainings: networks with their seeds at every epoch, as one CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaler.csv_files import read_csv
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
#: Further columns of a table that holds networks off the budget as well.
KINDS = ("candidate", "off", "larger", "box")
FURTHER = ("kind", "network", "octave_depth", "octave_width", "octave_resolution")
_SHARES, _OCTAVES = list(COLUMNS[1:4]), list(FURTHER[2:])
#: A column that a table of candidates alone may have: their FLOPs as a factor on the base's.
_RATIO = "flops_ratio"
#: Digits behind the point that numbers are written with.
_DIGITS = {
    **dict.fromkeys(("candidate", "seed_index", "epochs", "images", "train_flops"), 0),
    **dict.fromkeys((*_SHARES, "accuracy", "loss", _RATIO), 6),
    **dict.fromkeys(_OCTAVES, 4),
}
#: What columns were called in older tables.
_OLDER = {"seed": "seed_index"}
_KEYS = ["candidate", "seed_index", "epochs"]


@dataclass(frozen=True)
class Larger:
    """The candidates' directions at a larger size: what a choice is worth further up.

    Attributes:
        size: FLOPs as a factor on the base's.
        accuracy: ``[C, S, E]``, NaN where nothing was recorded.
    """

    size: float
    accuracy: Array


@dataclass(frozen=True)
class Table:
    """Trainings of ``N`` networks, the ``C`` candidates first, with up to ``S`` seeds over ``E`` epochs.

    Attributes:
        name: for reports; the file's name without its ending.
        experiment: the networks; its rungs are the recorded epochs, its seeds those of the candidates, its
            budget what these cost, or 2x where the table does not say it.
        accuracy: ``[N, S, E]`` in [0, 1]; 0 from where a training diverged, NaN where none was recorded.
        loss: ``[N, S, E]`` in nats; NaN from where a training diverged.
        images: ``[E]``, training images seen.
        larger: the candidates' directions further up, where they were recorded.
    """

    name: str
    experiment: Experiment
    accuracy: Array
    loss: Array
    images: NDArray[np.int64]
    larger: Larger | None = None

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
    """Everything that a table holds of networks that may be trained in a search."""
    last = len(table.experiment.rungs) - 1
    recorded = np.argwhere(np.isfinite(table.accuracy[:, :, -1]))
    return [o for n, s in recorded for o in table.observe(TrialSpec(int(n), int(s), last))]


def read_table(path: Path) -> Table:
    """Read a table from a CSV file, or from a run's directory (``trials.csv`` with ``candidates.csv``).

    Raises:
        UserError: there is no such file, a column or a training is missing, or a value is wrong.
    """
    frame = _read_frame(path)
    if "kind" not in frame:
        frame = frame.assign(kind="candidate", network="", **dict.fromkeys(_OCTAVES, np.nan))
    return _to_table(path, frame)


def frame_of(path: Path) -> pd.DataFrame:
    """All that a table, or a run's directory, holds: read by :func:`read_table`, it gives the same.

    Raises:
        UserError: as :func:`read_table`, where it can tell by a row alone.
    """
    frame = _read_frame(path)
    return frame.assign(**{c: [_text(v, n) for v in frame[c]] for c, n in _DIGITS.items() if c in frame})


def write_table(table_frame: pd.DataFrame, path: Path, command: str) -> None:
    """Write a table's frame with the command that made it; :func:`read_table` reads it."""
    text = table_frame.to_csv(index=False, lineterminator="\n")
    write_bytes(path, f"# {command}\n{text}".encode(), "--record")


@dataclass(frozen=True)
class Recorded:
    """A network of a recording.

    Attributes:
        kind: ``candidate``, ``off`` (the budget), ``larger`` (a candidate's direction further up) or ``box``
            (further networks, that no search trains).
        name: of the candidate, or of the network off the budget.
        shares: of the budget; None off it.
        octaves: doublings of FLOPs along each axis.
    """

    kind: str
    name: str
    shares: Shares | None
    octaves: tuple[float, float, float]


def recorded_frame(networks: Sequence[Recorded], trainings: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of recorded trainings: ``network`` (its place), ``seed_index`` and its ``evaluations``."""
    rows = []
    for training in sorted(trainings, key=lambda t: (t["network"], t["seed_index"])):
        network = networks[training["network"]]
        shares = astuple(network.shares) if network.shares else ("", "", "")
        for e in training["evaluations"]:
            rows.append(
                (
                    training["network"],
                    *(f"{s:.6f}" if s != "" else "" for s in shares),
                    training["seed_index"],
                    e["epochs"],
                    e["images"],
                    e["train_flops"],
                    f"{e['accuracy']:.6f}",
                    "" if e["diverged"] else f"{e['loss']:.6f}",
                    network.kind,
                    network.name,
                    *(f"{x:.4f}" for x in network.octaves),
                )
            )
    return pd.DataFrame(rows, columns=[*COLUMNS, *FURTHER])


def _read_frame(path: Path) -> pd.DataFrame:
    """The columns of a table, those of several kinds where it has them, with their values checked."""
    frame = _read_run(path) if path.is_dir() else read_csv(path, COLUMNS, _OLDER)
    further = FURTHER if "kind" in frame else ()
    if missing := [column for column in further if column not in frame]:
        raise UserError(
            f"{path} has a column 'kind' and lacks {missing[0]!r}; a table of kinds has {', '.join(FURTHER)}"
        )
    kind = frame["kind"] if further else pd.Series("candidate", frame.index)
    if wrong := set(kind) - set(KINDS):
        raise UserError(
            f"{path}: column kind holds {min(map(str, wrong))!r}; it is one of {', '.join(KINDS)}"
        )
    compared = frame[kind.isin(("candidate", "larger"))]
    for column in (*COLUMNS, *further):
        if column != "loss":
            _check_there(path, compared if column in _SHARES else frame, column)
    if (there := frame.loc[kind == "candidate", "candidate"].nunique()) < 2:
        raise UserError(f"{path} holds trainings of {there} candidates: to compare, at least two are needed")
    return frame[[*COLUMNS, *further, *([_RATIO] if _RATIO in frame else [])]]


def _check_there(path: Path, frame: pd.DataFrame, column: str) -> None:
    """Every row has a value."""
    if frame[column].isna().any():
        raise UserError(f"{path}: column {column} has no value in a row; fill it in, or remove the row")


def _read_run(path: Path) -> pd.DataFrame:
    found = read_csv(path / "candidates.csv", ("candidate", *_SHARES), _OLDER)
    trials = read_csv(path / "trials.csv", tuple(c for c in COLUMNS if c not in _SHARES), _OLDER)
    known = ["candidate", *_SHARES, *([_RATIO] if _RATIO in found else [])]
    return trials.merge(found[known], on="candidate", how="left")


def _to_table(path: Path, frame: pd.DataFrame) -> Table:
    twice = frame.duplicated(_KEYS)
    if twice.any():
        raise UserError(f"{path} holds {_row_name(frame[twice].iloc[0])} twice")
    compared = sorted(frame.loc[frame["kind"] == "candidate", "seed_index"].unique())
    grids = {kind: _grid(frame, own, compared) for kind, own in frame.groupby("kind")}
    candidates, off = grids["candidate"], grids.get("off")
    for kind, grid in grids.items():
        _check_whole(path, str(kind), grid)
    parts = [candidates] if off is None else [candidates, off]
    seeds = max(part.accuracy.shape[1] for part in parts)
    experiment = Experiment(
        shares=tuple(_shares(path, *row) for row in candidates.rows[["candidate", *_SHARES]].to_numpy()),
        epoch_flops=tuple(float(f) for part in parts for f in part.epoch_flops),
        rungs=candidates.epochs,
        max_seeds=candidates.accuracy.shape[1],
        seed=0,
        budget=_budget(candidates, off),
        octaves=()
        if off is None
        else tuple(tuple(o) for part in parts for o in part.rows[_OCTAVES].to_numpy()),
    )
    return Table(
        path.stem,
        experiment,
        np.concatenate([_widened(part.accuracy, seeds) for part in parts]),
        np.concatenate([_widened(part.loss, seeds) for part in parts]),
        frame.groupby("epochs")["images"].max().to_numpy(dtype=int),
        _larger(candidates, grids.get("larger"), experiment.budget),
    )


@dataclass(frozen=True)
class _Grid:
    """The trainings of one kind: ``rows`` has a line per network, ``seeds`` the seed indices as recorded."""

    rows: pd.DataFrame
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]
    epoch_flops: Array
    accuracy: Array
    loss: Array


def _grid(frame: pd.DataFrame, own: pd.DataFrame, compared: Sequence[float]) -> _Grid:
    """Trainings as arrays ``[networks, seeds, epochs]``; from where one diverged, accuracy 0 and loss NaN.

    Seeds stand where those of the candidates (``compared``) do, for they are paired; further ones follow.
    """
    there = set(own["seed_index"])
    seeds = [*compared, *sorted(there.difference(compared))]
    last = max(place for place, seed in enumerate(seeds) if seed in there)
    levels = [sorted(own["candidate"].unique()), seeds[: last + 1], sorted(frame["epochs"].unique())]
    full = own.set_index(_KEYS).reindex(pd.MultiIndex.from_product(levels, names=_KEYS))
    diverged = full["loss"].isna() & full["accuracy"].notna()
    stopped = diverged.groupby(level=[0, 1]).cummax()
    full.loc[stopped, ["accuracy", "loss"]] = (0.0, np.nan)
    shape = (len(levels[0]), len(levels[1]), len(levels[2]))
    values = {c: full[c].to_numpy(dtype=float).reshape(shape) for c in ("train_flops", "accuracy", "loss")}
    return _Grid(
        rows=own.drop_duplicates("candidate").sort_values("candidate"),
        seeds=tuple(int(seed) for seed in levels[1]),
        epochs=tuple(int(epochs) for epochs in levels[2]),
        epoch_flops=np.nanmax(values["train_flops"] / np.array(levels[2]), axis=(1, 2)),
        accuracy=values["accuracy"],
        loss=values["loss"],
    )


def _check_whole(path: Path, kind: str, grid: _Grid) -> None:
    """Trainings are recorded at every epoch, or to where they diverged; candidates with every seed."""
    missing = np.isnan(grid.accuracy)
    if kind != "candidate":
        missing &= ~missing.all(axis=2, keepdims=True)
    if holes := np.argwhere(missing).tolist():
        n, s, e = holes[0]
        candidate = grid.rows["candidate"].iloc[n]
        hole = _row_name({"candidate": candidate, "seed_index": grid.seeds[s], "epochs": grid.epochs[e]})
        if kind == "candidate":
            raise UserError(
                f"{path} lacks {hole}: a table holds every candidate x seed x epoch, "
                "as `scaler search --strategy exhaustive` records them"
            )
        raise UserError(
            f"{path} lacks {hole} (kind {kind}): record the training at every epoch, or remove its rows"
        )


def _budget(candidates: _Grid, off: _Grid | None) -> float:
    """FLOPs of the candidates, which all cost nearly the same, as a factor on the base's."""
    ratios = candidates.rows[_RATIO] if _RATIO in candidates.rows else pd.Series(dtype=float)
    if off is not None:
        base = off.epoch_flops[(off.rows[_OCTAVES] == 0).all(axis=1).to_numpy()]
        ratios = pd.Series(np.median(candidates.epoch_flops) / base)
    # Measured FLOPs miss what was asked for by some hundredths, and sizes up to 16x are its powers.
    return float(f"{ratios.median():.2g}") if ratios.notna().any() else Experiment.budget


def _larger(candidates: _Grid, larger: _Grid | None, budget: float) -> Larger | None:
    """The directions further up of the candidates, which cost ``budget`` times the base, in their order."""
    if larger is None:
        return None
    places = {name: i for i, name in enumerate(larger.rows["network"])}
    if not places.keys() & set(candidates.rows["network"]):  # of other candidates alone
        return None
    accuracy = np.full((len(candidates.rows), *larger.accuracy.shape[1:]), np.nan)
    for c, name in enumerate(candidates.rows["network"]):
        if name in places:
            accuracy[c] = larger.accuracy[places[name]]
    size = budget * float(np.median(larger.epoch_flops) / np.median(candidates.epoch_flops))
    return Larger(round(size, 1), accuracy)


def _widened(values: Array, seeds: int) -> Array:
    """With NaN for further seeds."""
    more = np.full((values.shape[0], seeds - values.shape[1], values.shape[2]), np.nan)
    return np.concatenate([values, more], axis=1)


def _shares(path: Path, candidate: float, *printed: float) -> Shares:
    """Shares as files hold them, with six digits, whose sum may be off by as many halves of the last one."""
    total = sum(printed)
    try:
        return Shares(*(value / total for value in printed)) if abs(total - 1) < 1e-5 else Shares(*printed)
    except UserError:
        told = ", ".join(f"{value:g}" for value in printed)
        raise UserError(
            f"{path}: the shares of candidate {candidate:.0f} are {told}; they must be >= 0 and sum to 1"
        ) from None


def _text(value: float, digits: int) -> str:
    """A number with so many digits behind the point, or with all that it has; none as an empty cell."""
    text = "" if np.isnan(value) else f"{value:.{digits}f}"
    return text if not text or float(text) == value else repr(float(value))


def _row_name(row: pd.Series | dict[str, float]) -> str:
    return f"candidate {row['candidate']:.0f}, seed index {row['seed_index']:.0f}, epoch {row['epochs']:.0f}"
