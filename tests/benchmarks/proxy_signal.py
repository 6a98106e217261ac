"""How much a proxy's trainings tell about growing: what growth changes, against the scatter of the seeds.

    python -m tests.benchmarks.proxy_signal [SPACE ...] [--seeds 6] [--grown 3] [--octaves 1 2] [--rates .5 2]

For every search space (a name or a YAML file) the proxy's base is trained ``--seeds`` times, and the
networks of the three single dimensions and the published direction at every doubling of ``--octaves``
``--grown`` times each; rows are written to ``results/reference/proxy-signal.csv``, where seeds that it has
are not trained again (further ones at least two at a time), and what they say is printed. ``--summary``
prints the table as it stands and trains nothing.
``--rates`` trains with so many times the space's learning rate too, and fits where the best rate lies.
Costs are seconds of one core, from the processor time of some steps, wherever the trainings run
(``--device``). Only the training and the validation part are seen.

What scatters between seeds has two parts (Jordan 2023, arXiv 2304.01910): networks differ truly, and each
is measured on finitely many images. With p_i the chance that a seed's network is right about image i, the
second part of the variance of accuracy is ``sum p_i (1 - p_i) / n^2``, and likewise for the loss.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional

from scaler.data.dataset import DataSet
from scaler.execution.calibration import flops_per_second
from scaler.networks.spec import NetworkSpec
from scaler.search.candidates.problem import pose
from scaler.search.candidates.proxy_base import bases
from scaler.search.space import Grid, Space, read_space
from scaler.search.workload import Settings
from scaler.seeds import derive
from scaler.training.device import Device, resolve
from scaler.training.recipe import Recipe, TrainingSeeds
from scaler.training.trainer import Training

TARGET = Path("results/reference/proxy-signal.csv")
BASE = "base"
AXES = ("depth", "width", "resolution")
METRICS = ("accuracy", "loss")
#: What a row is of.
KEYS = ["proxy", "rate", "network", "octaves"]
#: Images up to this many times the proxy's own side: two doublings spent on resolution alone, and some.
LARGEST = 2.5


@dataclass(frozen=True)
class Subject:
    """A network to train: where it lies from the base, and by how much it costs more, in doublings."""

    network: str
    octaves: float
    effective: tuple[float, float, float]
    spec: NetworkSpec


@dataclass(frozen=True)
class Outcome:
    """A trained network on the validation images: ``right`` and ``losses`` are ``float [N]``."""

    right: NDArray[np.float64]
    losses: NDArray[np.float64]
    train_flops: int


def subjects(space: Space, classes: int, octaves: Sequence[float]) -> Iterator[Subject]:
    """The proxy's base, and its networks of the fixed directions on these budgets, as a search has them."""
    _, proxy = bases(space, classes)
    yield Subject(BASE, 0.0, (1, 1, 1), proxy.base)
    for octave in octaves:
        budget = space.override(budget=f"{2**octave:g}x", grid=Grid(lattice=1))
        candidates = pose(budget, classes).candidates
        for out in candidates.left_out:
            print(f"{out.point.name} at {2**octave:g}x is left out: {out.reason}")
        for found in candidates.kept:
            m, name = found.proxy.effective, found.point.name.removesuffix("-only")
            effective = (m.depth, m.width, m.resolution)
            yield Subject(name, math.log2(found.proxy.ratio), effective, found.proxy.spec)


def outcome(subject: Subject, recipe: Recipe, data: DataSet, seed: int, device: Device) -> Outcome:
    """One training from start to end."""
    name = f"{subject.network} {subject.octaves:.2f}"
    # As in a search: one order of the images per repetition, weights of every training's own.
    seeds = TrainingSeeds(derive(0, "weights", seed, name), derive(0, "order", seed))
    training = Training(subject.spec, recipe, data, seeds, device)
    while training.epochs < recipe.epochs and not training.diverged:
        training.epoch()
    training.evaluate()
    right, losses = _by_image(training)
    return Outcome(right, losses, training.evaluations[-1].train_flops)


def _by_image(training: Training) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    network = training.averaged.eval()
    right, losses = [], []
    with torch.inference_mode():
        for images, labels in training.validation.evaluation():
            scores = network(images).float()
            right.append((scores.argmax(1) == labels).double())
            losses.append(functional.cross_entropy(scores, labels, reduction="none").double())
    return torch.cat(right).cpu().numpy(), torch.cat(losses).cpu().numpy()


def sampling(values: NDArray[np.float64]) -> float:
    """Deviation of the mean over images, for one seed, that is due to the images being so few.

    Args:
        values: ``[seeds, images]``.
    """
    return float(np.sqrt(values.var(axis=0, ddof=1).sum()) / values.shape[1])


def row(
    proxy: str, rate: float, recipe: Recipe, subject: Subject, trained: Sequence[Outcome]
) -> dict[str, str | float]:
    """What the seeds of one network say; accuracies in points, losses in nats."""
    right = 100 * np.stack([one.right for one in trained])
    losses = np.stack([one.losses for one in trained])
    found: dict[str, str | float] = {"proxy": proxy, "rate": rate, "network": subject.network}
    found |= {"octaves": round(subject.octaves, 4)}
    found |= {axis: round(m, 4) for axis, m in zip(AXES, subject.effective, strict=True)}
    found |= {"pixels": subject.spec.resolution, "seeds": len(trained), "images": right.shape[1]}
    speed = flops_per_second((subject.spec.without_regularisation(),), recipe, Device())
    found |= {"seconds": round(trained[0].train_flops / speed, 2), "train_flops": trained[0].train_flops}
    for metric, values in zip(METRICS, (right, losses), strict=True):
        by_seed = values.mean(axis=1)
        found[metric] = round(float(by_seed.mean()), 4)
        found[f"{metric}_sd"] = round(float(by_seed.std(ddof=1)), 4)
        found[f"{metric}_sampling"] = round(sampling(values), 4)
        found[f"{metric}_seeds"] = " ".join(f"{value:.4f}" for value in by_seed)
    return found


def combined(known: pd.Series, further: dict[str, str | float]) -> dict[str, str | float]:
    """A row of the table and one of the same network's further seeds, as one."""
    counts = np.array([known["seeds"], further["seeds"]], dtype=float)
    found = further | {"seeds": int(counts.sum())}
    for metric in METRICS:
        text = f"{known[f'{metric}_seeds']} {further[f'{metric}_seeds']}"
        by_seed = np.array([float(value) for value in text.split()])
        parts = np.array([known[f"{metric}_sampling"], further[f"{metric}_sampling"]], dtype=float)
        found[metric] = round(float(by_seed.mean()), 4)
        found[f"{metric}_sd"] = round(float(by_seed.std(ddof=1)), 4)
        found[f"{metric}_sampling"] = round(math.sqrt(float(parts**2 @ counts / counts.sum())), 4)
        found[f"{metric}_seeds"] = text
    return found


def measured(space: Space, asked: argparse.Namespace, proxy: str) -> Iterator[dict[str, str | float]]:
    """Rows of a space, with its own learning rate and with the multiples asked for."""
    request = Settings(data_root=asked.data_root).request(space)
    data = replace(request, largest_resolution=round(LARGEST * space.proxy.resolution)).load()
    device = replace(resolve(asked.device), bf16=False)
    had = (
        {tuple(row[key] for key in KEYS): row for _, row in recorded().iterrows()} if TARGET.exists() else {}
    )
    for subject in subjects(space, len(data.classes), asked.octaves):
        for rate in (1.0, *asked.rates):
            known = had.get((proxy, rate, subject.network, round(subject.octaves, 4)))
            begin = 0 if known is None else int(known["seeds"])
            seeds = range(begin, asked.seeds if subject.network == BASE else asked.grown)
            if len(seeds) < 2:  # of one alone, nobody knows the part that is sampling of the images
                continue
            recipe = replace(space.recipe, learning_rate=rate * space.recipe.learning_rate)
            trained = [outcome(subject, recipe, data, seed, device) for seed in seeds]
            found = row(proxy, rate, recipe, subject, trained)
            yield found if known is None else combined(known, found)


def noise(table: pd.DataFrame, metric: str) -> float:
    """Deviation between seeds, pooled over a proxy's networks."""
    freedom = table["seeds"] - 1
    return math.sqrt(float((table[f"{metric}_sd"] ** 2 * freedom).sum() / freedom.sum()))


def slopes(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Gain per doubling of FLOPs of every grown network over the base, with its standard error."""
    base, grown = table[table.network == BASE].iloc[0], table[table.network != BASE]
    deviation = noise(table, metric)
    gain = (grown[metric] - base[metric]) / grown.octaves
    error = deviation * (1 / grown.seeds + 1 / base.seeds) ** 0.5 / grown.octaves.abs()
    own = deviation / grown.seeds**0.5 / grown.octaves.abs()
    return grown[["network", "octaves"]].assign(gain=gain, error=error, own=own)


def spread(gains: pd.DataFrame) -> float:
    """True deviation between directions per doubling: what the seeds of each add is taken off.

    The base's own error is in all gains alike and adds nothing.
    """
    return math.sqrt(max(float(gains.gain.var(ddof=1) - (gains.own**2).mean()), 0.0))


def pairing(table: pd.DataFrame, metric: str) -> float:
    """Variance of differences to the base at the same seed index, over that at different ones; 1: no gain."""
    values = [np.array([float(v) for v in text.split()]) for text in table[f"{metric}_seeds"]]
    base, pairs, singles = values[0], 0.0, 0.0
    for grown in values[1:]:
        count = min(len(grown), len(base))
        pairs += float((grown[:count] - base[:count]).var(ddof=1)) * (count - 1)
        singles += float(grown[:count].var(ddof=1) + base[:count].var(ddof=1)) * (count - 1)
    return pairs / singles if singles else math.nan


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row per proxy and metric, at the space's own learning rate."""
    rows = []
    for proxy, own in table[table.rate == 1].groupby("proxy", sort=False):
        base = own[own.network == BASE].iloc[0]
        for metric in METRICS:
            deviation, found = noise(own, metric), {"proxy": proxy, "metric": metric}
            found |= {"seconds": base.seconds, "TFLOPs": base.train_flops / 1e12, "base": base[metric]}
            found |= {
                "sd": deviation,
                "sampling": base[f"{metric}_sampling"],
                "pairing": pairing(own, metric),
            }
            gains = slopes(own, metric)
            for octave, level in gains.groupby(gains.octaves.round()):
                at = f"{2**octave:g}x"
                for line in level.itertuples():
                    found[f"{line.network} {at}"] = f"{line.gain:+.4g}±{line.error:.2g}"
                true = spread(level[level.network.isin(AXES)])
                found[f"spread {at}"] = true * abs(octave)
                found[f"s/n {at}"] = true * abs(octave) / deviation
                found[f"s/n/√s {at}"] = true * abs(octave) / deviation / base.seconds**0.5
            rows.append(found)
    return pd.DataFrame(rows)


def best_rates(table: pd.DataFrame, metric: str = "loss") -> pd.DataFrame:
    """Where the best learning rate lies: ``log lr* = c0 + c_depth log d + c_width log w + c_res log r``.

    A parabola in log2(rate) through every network's rates gives its best rate, kept within an octave of
    those tried; the coefficients are fitted to these by least squares.
    """
    rows = []
    for proxy, own in table.groupby("proxy", sort=False):
        sizes, best = [], []
        for _, tried in own.groupby(["network", "octaves"], sort=False):
            if len(tried) < 3:
                continue
            rates = np.log2(tried.rate.to_numpy())
            curve = np.polyfit(rates, tried[metric].to_numpy(), 2)
            end = rates[tried[metric].argmin()]
            peak = -curve[1] / (2 * curve[0]) if curve[0] > 0 else end
            best.append(float(np.clip(peak, rates.min() - 1, rates.max() + 1)))
            sizes.append([1.0, *np.log2(tried[list(AXES)].iloc[0].to_numpy(float))])
        if len(best) > len(AXES):
            fitted = np.linalg.lstsq(np.array(sizes), np.array(best), rcond=None)[0]
            named = dict(zip(("c0", *AXES), fitted, strict=True))
            rows.append({"proxy": proxy, **named, "networks": len(best)})
    return pd.DataFrame(rows)


def recorded() -> pd.DataFrame:
    """The table as it stands."""
    return pd.read_csv(TARGET, comment="#")


def append(rows: list[dict[str, str | float]]) -> None:
    """Add rows, in the place of those of the same networks, under a header that says how they were made."""
    added = pd.DataFrame(rows)
    head = ["# accuracies in points, losses in nats, seconds of one core; each proxy's row names its space"]
    if TARGET.exists():
        head = [line for line in TARGET.read_text().splitlines() if line.startswith("#")]
        added = pd.concat([recorded(), added], ignore_index=True)
        added = added.groupby(KEYS, sort=False, as_index=False).last()
    command = f"# python -m tests.benchmarks.proxy_signal {shlex.join(sys.argv[1:])}".rstrip()
    head = [*head, *([command] if command not in head else [])]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text("\n".join(head) + "\n" + added.to_csv(index=False, lineterminator="\n"))


def main() -> None:
    """Train, add to the table and print what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spaces", nargs="*", default=["quick"])
    parser.add_argument("--seeds", type=int, default=6, help="of the base, at least 2")
    parser.add_argument("--grown", type=int, default=3, help="seeds of every grown network, at least 2")
    parser.add_argument("--octaves", type=float, nargs="*", default=[1.0, 2.0], help="doublings of the base")
    parser.add_argument("--rates", type=float, nargs="*", default=[], help="further multiples of the rate")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--summary", action="store_true", help="print the table, train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # as exact as on a CPU
    for name in [] if asked.summary else asked.spaces:
        space = read_space(name)
        for found in measured(space, asked, Path(name).stem):
            append([found])
            print({key: value for key, value in found.items() if not key.endswith("_seeds")}, flush=True)
    table = recorded()
    shown = summary(table).set_index(["proxy", "metric"]).T
    print(shown.to_string(float_format=lambda value: f"{value:.4g}"))
    if not (rates := best_rates(table)).empty:
        print(rates.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
