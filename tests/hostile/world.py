"""The folder that every case runs in: a small search space, network, images, table, and finished runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from PIL import Image

from tests.hostile.zygote import Ended, Job, Runner

if TYPE_CHECKING:
    from scaler.execution.protocol import Observation
    from scaler.runs import Run
    from scaler.search.workload import Workload

SPACE = {
    "about": "a test",
    "base": "resnet-20",
    "budget": "2x",
    "tolerance": 0.05,
    "grid": {"lattice": 1},
    "data": "digits",
    "proxy": {"resolution": 8, "width": 0.25, "divisor": 1, "upsample": True},
    "recipe": {"epochs": 1, "images": 64, "batch_size": 32, "validation_images": 64},
    "rungs": [1],
    "seeds": 2,
    "strategy": "exhaustive",
}

NETWORK = """\
name: tiny
resolution: 32
classes: 10
stem:
  - {block: plain, width: 16}
stages:
  - {block: mbconv, depth: 2, width: 24, stride: 2, expand: 4, se: {reduction: 4}}
head: {width: 128}
"""

PYTHON = """\
from torch import nn


def net(depth, width, resolution, num_classes):
    channels = max(1, round(8 * width))
    body = [nn.Conv2d(3, channels, 3, 2, 1)]
    for _ in range(max(1, round(2 * depth))):
        body += [nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


net.base_resolution = 32
"""

TABLE = (
    "candidate,share_depth,share_width,share_resolution,seed_index,epochs,images,train_flops,accuracy,loss\n"
)


def make(folder: Path) -> None:
    """Everything but finished runs."""
    folder.mkdir(parents=True)
    (folder / "space.yaml").write_text(yaml.safe_dump(SPACE, sort_keys=False))
    (folder / "net.yaml").write_text(NETWORK)
    (folder / "net.py").write_text(PYTHON)
    rows = [
        f"{c},{int(c == 0)}.0,{int(c == 1)}.0,{int(c == 2)}.0,"
        f"{s},{e},{64 * e},{1000 * e},0.{3 + c}{s}{e},1.{e}"
        for c in range(3)
        for s in range(2)
        for e in (1, 2)
    ]
    (folder / "table.csv").write_text(TABLE + "\n".join(rows) + "\n")
    images(folder / "photos")
    (folder / "results").mkdir()
    (folder / "home").mkdir()


def images(root: Path) -> None:
    """Two classes of 12 images of 16 px each."""
    random = np.random.default_rng(0)
    for name in ("apples", "pears"):
        (root / "train" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "train" / name / f"{number}.png")


def environment(cache: Path, folder: Path) -> dict[str, str]:
    """The process's surroundings: its own home, one image cache for all."""
    return {"SCALER_CACHE": str(cache), "HOME": str(folder / "home"), "COLUMNS": "120"}


def add_runs(runner: Runner, folder: Path, cache: Path) -> None:
    """A finished search ``one`` and a finished scaling ``grown``; see :func:`write_runs`."""
    job = Job((), str(folder), environment(cache, folder), 120, idle=120, call=write_runs.__qualname__)
    ended = runner.run(job)
    assert ended.code == 0, ended.err


def write_runs() -> None:
    """The runs in ``results``, written as the program writes them, after trainings that are made up."""
    from scaler.growth.origin import origin_of
    from scaler.growth.scale_up import Asked, curve_rows, prepare_scale
    from scaler.report.columns import CSV_FORMATS, candidate_frame, curve_frame
    from scaler.runs import open_run
    from scaler.search.inference.selection import CONFIDENCE, Selection
    from scaler.search.result import result_of, write_result
    from scaler.search.session import prepare
    from scaler.search.space import Space
    from scaler.search.workload import Settings
    from tests.search.answers import a_law

    settings, results = Settings(workers=1), Path("results")
    session = prepare(Space.model_validate(SPACE), settings)
    with open_run(results, "one", "search", session.configuration) as run:
        problem = session.problem.candidates
        run.write_csv("candidates.csv", candidate_frame(problem.kept, problem.left_out), CSV_FORMATS)
        _seen(run, session.work)
        names = range(len(problem.kept))
        # The decision itself takes ten times as long as all the rest.
        decided = Selection(0, tuple(names), CONFIDENCE, None, None, "accuracy", (), (), a_law())
        result = result_of(session, decided)
        write_result(run, result)
        run.finish()
    grown = prepare_scale(origin_of(result, "one"), settings, Asked((0.0, 1.0), ()))
    with open_run(results, "grown", "scale", {**grown.configuration, "train": True}) as run:
        rows = curve_rows(grown, _seen(run, grown.work))
        run.write_csv("curve.csv", curve_frame(rows), CSV_FORMATS)
        run.finish()


def _seen(run: Run, work: Workload) -> list[Observation]:
    """What a simulated course sees, as the run's table of trials."""
    from scaler.execution.trials_table import FORMATS, TRIALS_FILE, trials_table

    run.write_csv(TRIALS_FILE, trials_table(work.course.seen), FORMATS)
    return list(work.course.seen)


def snapshot(folder: Path) -> dict[str, object]:
    """Everything below a folder: kind, size and time of change of each file; what links point to.

    But for the bytecode that Python keeps beside a module.
    """
    seen: dict[str, object] = {}
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in (*folders, *files):
            one = os.path.join(path, name)
            status = os.lstat(one)
            link = os.readlink(one) if os.path.islink(one) else ""
            times = 0 if os.path.isdir(one) else status.st_mtime_ns
            size = 0 if os.path.isdir(one) else status.st_size
            seen[os.path.relpath(one, folder)] = (status.st_mode, size, times, link)
    return seen


def copy(world: Path, folder: Path) -> None:
    """A world of a case's own."""
    shutil.copytree(world, folder, symlinks=True)


__all__ = ["Ended", "add_runs", "copy", "environment", "images", "make", "snapshot"]
