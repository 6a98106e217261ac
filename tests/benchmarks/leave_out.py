"""The largest network of every scaling, predicted from the smaller ones, beside what was measured.

``python -m tests.benchmarks.leave_out [RUN...]`` fits every policy's law without its largest network,
and writes ``results/reference/leave-out.csv``: for each the accuracy predicted with its bounds, the measured
one, and whether that lies within; the last row is their share. Without arguments it reads all runs in
``results/reference`` (others beside them if named). Trains nothing; seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scaler.curves.growth_law import CONFIDENCE, FEWEST_NETWORKS, NoLaw, fit_growth, noise_of
from scaler.growth.comparison import accuracies

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
TARGET = REFERENCE / "leave-out.csv"


@dataclass(frozen=True)
class Prediction:
    """A network that the law was not shown.

    Attributes:
        run, policy, network: which.
        networks: that the law was fitted to.
        seeds: of each.
        doublings: of FLOPs beyond the largest of them.
        predicted, low, high: accuracy expected of another scaling's measurement, with bounds.
        measured: mean over seeds.
        within: whether the bounds hold it.
    """

    run: str
    policy: str
    network: str
    networks: int
    seeds: int
    doublings: float
    predicted: float
    low: float
    high: float
    measured: float
    within: bool


def predictions(folder: Path) -> Iterator[Prediction]:
    """A prediction for each policy of a scaling with enough networks; policies of the same ones are one.

    A run's trainings are in ``scale-trials.csv`` where a search lies in the same folder, else in
    ``trials.csv``; a curve that does not name its trainings has them in its own order.
    """
    files = [folder / name for name in ("scale-trials.csv", "trials.csv")]
    trials = next((file for file in files if file.is_file()), None)
    if trials is None or not (folder / "curve.csv").is_file():
        return
    curve, values = pd.read_csv(folder / "curve.csv"), accuracies(pd.read_csv(trials))
    if "training" not in curve:
        curve = curve.assign(training=range(len(curve)))
    curve = curve[curve["training"].isin([training for training, _ in values])]
    seen = set[tuple[int, ...]]()
    for policy in curve["policy"].unique():
        own = curve[(curve["policy"] == policy) | (curve["phi"] == 0)].sort_values("flops")
        trainings = tuple(int(training) for training in own["training"])
        if len(own) > FEWEST_NETWORKS and trainings not in seen:
            yield from _predicted(folder.name, str(policy), own, values)
        seen.add(trainings)


def _predicted(
    run: str, policy: str, own: pd.DataFrame, values: dict[tuple[int, int], float]
) -> Iterator[Prediction]:
    """The last network from those before; nothing where the seeds give no noise."""
    last, known = own.iloc[-1], own.iloc[:-1]
    noise = noise_of({key: value for key, value in values.items() if key[0] != last["training"]})
    if isinstance(noise, NoLaw):
        return
    law = fit_growth(known["flops"].tolist(), known["accuracy"].tolist(), noise)
    if isinstance(law, NoLaw):
        return
    found = law.accuracy(float(last["flops"]), measured=True)
    truth = float(last["accuracy"])
    yield Prediction(
        run=run,
        policy=policy,
        network=str(last["network"]),
        networks=len(known),
        seeds=noise.seeds,
        doublings=float(np.log2(last["flops"] / known["flops"].max())),
        predicted=found.middle,
        low=found.low,
        high=found.high,
        measured=truth,
        within=bool(found.low <= truth <= found.high),
    )


def table(found: Sequence[Prediction]) -> pd.DataFrame:
    """A row for each prediction, and a last one for all: their number, mean errors and the share within."""
    frame = pd.DataFrame([asdict(one) for one in found]).astype({"within": float})
    means = frame[["predicted", "low", "high", "measured", "within"]].mean()
    whole = {"run": "all", "network": f"{len(frame)} predictions", **means}
    return pd.concat([frame, pd.DataFrame([whole])], ignore_index=True).astype(
        {"networks": "Int64", "seeds": "Int64"}
    )


def main() -> None:
    """Write the table, and say how many lie within."""
    folders = sorted(path for path in REFERENCE.iterdir() if path.is_dir())
    folders += [Path(argument) for argument in sys.argv[1:]]
    found = [one for folder in folders for one in predictions(folder)]
    if not found:
        sys.exit(
            f"no scaling has more than {FEWEST_NETWORKS} networks of a policy, each with two seeds or more"
        )
    frame = table(found)
    frame.to_csv(TARGET, index=False, float_format="%.4g")
    print(frame.to_string(index=False, float_format="{:.3f}".format))
    print(f"{sum(one.within for one in found)} of {len(found)} lie within their {CONFIDENCE:.0%} bounds.")


if __name__ == "__main__":
    main()
