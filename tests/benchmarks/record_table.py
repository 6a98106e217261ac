"""Record a table of trainings of networks on and off the budget, for replays.

``python -m tests.benchmarks.record_table SPACE OUTPUT.csv --parts candidate:0-3,off:0-1,larger:0-1``
trains the candidates of a search space, the networks off the budget, and the candidates' directions at
``--larger`` times the base's FLOPs, each with the seeds of its part, to the last rung; every rung is kept.
``box`` are further networks about the base, which no search trains: a law's forecasts are held against them.
A training that is in ``OUTPUT.jsonl`` already is not done again, so that a recording goes on, also in
several processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import torch
from scipy.stats import qmc

from scaler.execution.protocol import TrialSpec
from scaler.execution.proxy_training import seeds_of
from scaler.networks.scale import identity
from scaler.networks.spec import NetworkSpec
from scaler.replay.table import Recorded, recorded_frame, write_table
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.shares import Exponents, Shares
from scaler.search.candidates.enumeration import Candidates, enumerate_candidates
from scaler.search.candidates.grid import grid_points
from scaler.search.candidates.off_budget import Octaves, octaves, off_budget
from scaler.search.candidates.problem import effective_shares, pose
from scaler.search.candidates.realise import Scalable, Target
from scaler.search.space import Space, read_space
from scaler.search.workload import Settings
from scaler.training.device import resolve
from scaler.training.trainer import train

#: The box in octaves along each axis, and points that are tried to fill it.
BOX, BOXED = np.array([-1.0, 2.0]), 64


@dataclass(frozen=True)
class Network:
    """A network of the table; ``kind`` as :class:`scaler.replay.table.Recorded` has it."""

    kind: str
    name: str
    shares: Shares | None
    octaves: Octaves
    spec: NetworkSpec


def networks(space: Space, classes: int, pixels: int, larger: float) -> list[Network]:
    """All networks, the candidates first: their numbers are those of a search."""
    problem = pose(space, classes)
    powers = problem.exponents

    def of(kind: str, candidates: Candidates) -> Iterator[Network]:
        for c in candidates.kept:
            shares, at = effective_shares(c, powers), octaves(c.proxy.effective, powers)
            yield Network(kind, c.point.name, shares, at, c.proxy.spec)

    target = Target(larger, space.tolerance)
    points = grid_points(space.grid, larger, powers)
    raised = enumerate_candidates(points, problem.native, problem.proxy, target, powers)
    off = off_budget(problem.candidates, problem.proxy, powers, pixels)
    found = [
        *of("candidate", problem.candidates),
        *(Network("off", o.name, None, o.octaves, o.proxy.spec) for o in off),
        *(n for n in of("larger", raised) if n.spec.resolution <= pixels),
    ]
    seen = {identity(network.spec) for network in found}
    box = (n for n in boxed(problem.proxy, powers) if n.spec.resolution <= pixels)
    return [*found, *({identity(n.spec): n for n in box if identity(n.spec) not in seen}.values())]


def boxed(proxy: Scalable, powers: Exponents) -> Iterator[Network]:
    """Networks that fill the box about the base evenly, between half of its FLOPs and four times them."""
    sides = BOX[1] - BOX[0]
    for point in qmc.Sobol(3, rng=np.random.default_rng(0)).random(BOXED) * sides + BOX[0]:
        if -1 <= point.sum() <= 2:
            asked = Multipliers(*(2 ** (x / e) for x, e in zip(point, astuple(powers), strict=True)))
            found = proxy.realise(asked)
            at = octaves(found.effective, powers)
            yield Network(
                "box", " ".join(f"{a}{x:+.2f}" for a, x in zip("dwr", at, strict=True)), None, at, found.spec
            )


def parts(text: str, found: list[Network]) -> list[tuple[int, int]]:
    """(network, seed index) of ``candidate:0-3,off:0-1``, in this order."""
    trials = []
    for part in text.split(","):
        kind, _, seeds = part.partition(":")
        low, _, high = seeds.partition("-")
        for seed in range(int(low), int(high or low) + 1):
            trials += [(i, seed) for i, network in enumerate(found) if network.kind == kind]
    return trials


def main() -> None:
    """Record, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("space")
    parser.add_argument("output", type=Path)
    parser.add_argument("--parts", default="candidate:0-3,off:0-1,larger:0-1")
    parser.add_argument("--larger", type=float, default=4.0)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # as exact as on a CPU
    space = read_space(asked.space)
    request = Settings(data_root=asked.data_root).request(space)
    data = request.load()
    found = networks(space, len(data.classes), data.native_resolution, asked.larger)
    largest = max(network.spec.resolution for network in found)
    data = replace(request, largest_resolution=largest).load()
    log = asked.output.with_suffix(".jsonl")
    device = replace(resolve(asked.device), bf16=False)
    for network, seed in parts(asked.parts, found):
        with claimed(asked.output, network, seed) as mine:
            if not mine:
                continue
            spec, seeds = found[network].spec, seeds_of(0, TrialSpec(network, seed, 0))
            evaluations = train(spec, space.recipe, data, seeds, stops=space.rungs, device=device)
            rows = [asdict(evaluation) for evaluation in evaluations]
            with log.open("a") as file:
                file.write(json.dumps({"network": network, "seed_index": seed, "evaluations": rows}) + "\n")
    write(asked.output, found, log)


@contextlib.contextmanager
def claimed(output: Path, network: int, seed: int) -> Iterator[bool]:
    """Whether a training is this process's: nobody has done it, and no other process is at it.

    The kernel frees the claim of a process that is killed, whose training is then another's.
    """
    folder = output.with_suffix(".claims")
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{network}-{seed}", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield (network, seed) not in done(output.with_suffix(".jsonl"))
    finally:
        lock.release()


def done(log: Path) -> set[tuple[int, int]]:
    """(network, seed index) of the trainings recorded so far."""
    trainings = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return {(training["network"], training["seed_index"]) for training in trainings}


def write(output: Path, found: list[Network], log: Path) -> None:
    """The table of all that was recorded so far, those that it held before included.

    Of seeds that not all candidates have, those of candidates are left out.
    """
    networks = [Recorded(n.kind, n.name, n.shares, n.octaves) for n in found]
    trainings = [json.loads(line) for line in log.read_text().splitlines()]
    frame = recorded_frame(networks, trainings)
    commands = [shlex.join(["python", "-m", "tests.benchmarks.record_table", *sys.argv[1:]])]
    if output.exists():
        lines = output.read_text().splitlines()
        commands = [*(line.lstrip("# ") for line in lines if line.startswith("#")), *commands]
        old = pd.read_csv(output, comment="#", dtype=str, keep_default_na=False)
        keys = ["candidate", "seed_index", "epochs"]
        frame = pd.concat([old, frame.astype(str)], ignore_index=True).drop_duplicates(keys)
        frame = frame.astype(dict.fromkeys(keys, int)).sort_values(keys, ignore_index=True)
    candidates = frame["kind"] == "candidate"
    having = frame[candidates].groupby("seed_index")["candidate"].transform("nunique")
    short = candidates & (having.reindex(frame.index) < frame[candidates]["candidate"].nunique())
    write_table(frame[~short], output, "\n# ".join(dict.fromkeys(commands)))


if __name__ == "__main__":
    main()
