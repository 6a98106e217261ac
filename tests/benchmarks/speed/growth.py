"""How inference, the study, the report and memory grow with the number of trainings and a network's size."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.study import Study
from scaler.execution.trials_table import FORMATS, trials_table
from scaler.files import csv_text
from scaler.report.page.page import write_report
from scaler.runs import load_run
from scaler.scaling.shares import Shares
from scaler.search.inference.selection import select
from scaler.training.recipe import Evaluation
from tests.benchmarks.speed.ratio import Row, ratio, timed

GROUP = "growth"
#: Trainings; a candidate has so many of them, more where there would be more candidates than this.
SIZES, SEEDS, CANDIDATES = (10, 100, 1000, 10_000), 4, 250
#: Trainings whose study and report are held against each other.
FEW, MANY = 100, 1000
#: A search whose run is drawn with further candidates.
SEARCH = Path("results/reference/quick")
#: Runs Scaler and says the most memory that it took.
WATCHED = """
import atexit, runpy, sys
from pathlib import Path
lines = lambda: Path("/proc/self/status").read_text().splitlines()
atexit.register(lambda: print(next(line for line in lines() if line.startswith("VmHWM")), file=sys.stderr))
runpy.run_module("scaler", run_name="__main__")
"""


def rows() -> Iterator[Row]:
    """The memory of a large network's profile; what is done with a hundred and with a thousand trainings."""
    memory = {name: _peak("profile", name, "--memory") for name in ("effnet-b0", "effnet-b7")}
    part = round(memory["effnet-b0"] / memory["effnet-b7"], 3)
    most = round(memory["effnet-b7"])
    yield Row(GROUP, "memory of profile effnet-b7", "effnet-b0", part, part, part, most, "MB", "once")
    for fewer, trainings in pairwise(SIZES):
        found = ratio(timed(partial(_select, trainings)), timed(partial(_select, fewer)))
        yield found.row(GROUP, f"choice over {trainings} trainings", f"over {fewer}", found.seconds, "s")
    for what, work in (("study", _study), ("report", _report)):
        with TemporaryDirectory() as folder:
            more, few = (partial(work, Path(folder), trainings) for trainings in (MANY, FEW))
            found = ratio(timed(more), timed(few))
        yield found.row(GROUP, f"{what} of {MANY} trainings", f"of {FEW}", found.seconds, "s")


def _select(trainings: int) -> None:
    experiment, seen = trained(trainings)
    select(experiment, seen)


def _study(folder: Path, trainings: int) -> None:
    """Record trainings, one after the other, and read them back."""
    experiment, seen = trained(trainings)
    journal = folder / "study.log"
    with Study.open(str(journal), "grown") as study:
        for one in seen:
            evaluation = Evaluation(
                one.epochs, one.images, one.train_flops, one.accuracy, one.loss, one.seconds
            )
            spec = TrialSpec(one.candidate, one.seed_index, one.rung)
            study.complete(study.start(spec, experiment, {}), [evaluation], [one])
    with Study.open(str(journal), "grown") as study:
        assert len(study.observations()) == trainings
    journal.unlink()


def _report(folder: Path, trainings: int) -> None:
    """The pictures and the page of a search with as many trainings."""
    run = folder / f"report-{trainings}"
    if not run.exists():
        experiment, seen = trained(trainings)
        shutil.copytree(SEARCH, run)
        first = pd.read_csv(run / "candidates.csv").iloc[0]
        shares = ["share_depth", "share_width", "share_resolution"]
        rows = [
            {**first, "candidate": place, "network": f"n{place}", **dict(zip(shares, point, strict=True))}
            for place, point in enumerate(map(astuple, experiment.shares))
        ]
        pd.DataFrame(rows).to_csv(run / "candidates.csv", index=False)
        (run / "trials.csv").write_text(csv_text(trials_table(seen), FORMATS))
    write_report(load_run(run))


def trained(trainings: int) -> tuple[Experiment, list[Observation]]:
    """An experiment whose candidates were all trained, by a law and some noise."""
    random = np.random.default_rng(0)
    candidates = min(max(3, trainings // SEEDS), CANDIDATES)
    seeds = -(-trainings // candidates)
    points = random.dirichlet((1, 1, 1), candidates)
    experiment = Experiment(
        shares=tuple(Shares(*(float(x) for x in point)) for point in points),
        epoch_flops=(1e12,) * candidates,
        rungs=(1,),
        max_seeds=seeds,
        seed=0,
        octaves=tuple((float(d), float(w), float(r)) for d, w, r in points),
    )
    worth = 0.6 + 0.05 * points @ np.array([0.5, 1.0, 0.8])
    seen = [
        Observation(c, s, 0, 1, 1000, 10**12, float(worth[c] + 0.01 * random.standard_normal()), 1.0, 1.0)
        for c in range(candidates)
        for s in range(seeds)
    ]
    return experiment, seen[:trainings]


def _peak(*arguments: str) -> float:
    """Most memory of a command, in MB, as Linux keeps it for a program; its parent's is no part of that."""
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], check=True, capture_output=True, text=True
    )
    return int(run.stderr.split()[-2]) / 1024
