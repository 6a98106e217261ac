"""Trains the networks of ``results/reference/inspect/``: base, single dimensions, and compound of one base.

Run: ``python -m tests.benchmarks.inspect_networks SPACE.yaml [--phi 0] [--data-root DIR]``. The compound
policy is the published direction, whatever a search would choose, and all meet one budget. What comes out
is a run in ``results/``, as ``scaler scale`` writes one.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from scaler.cost.exponents import measure
from scaler.execution.run_trials import CHECKPOINTS, drop_checkpoints, run_trials
from scaler.growth.export import export_networks
from scaler.growth.ladder import up_to
from scaler.growth.origin import Origin
from scaler.growth.policies import COMPARABLE, COMPOUND, SINGLE, in_direction
from scaler.growth.scale_up import Asked, ScaleUp, curve_rows, prepare_scale
from scaler.report.columns import CSV_FORMATS, curve_frame
from scaler.runs import Run, open_run
from scaler.search.candidates.proxy_base import bases, budget_ratio
from scaler.search.candidates.realise import Target
from scaler.search.space import read_space
from scaler.search.workload import Settings


def origin(space_file: str, settings: Settings) -> Origin:
    """The published direction at the space's budget; no search is run."""
    space = read_space(space_file)
    native, proxy = bases(space, len(settings.request(space).load().classes))
    ratio = budget_ratio(space.budget, native.base)
    exponents = measure(native.base, budget=ratio).exponents
    target = Target(ratio, space.tolerance)
    chosen = in_direction(COMPARABLE["published"], exponents, native, proxy, target)
    return Origin(COMPOUND, chosen, ratio, {}, space, exponents)


def train(scale_up: ScaleUp, run: Run) -> None:
    """Train, and write what ``scaler scale`` writes."""
    training = scale_up.work.training(run.path / CHECKPOINTS, on_test=True)
    seen = run_trials(
        run,
        scale_up.work.experiment,
        scale_up.work.strategy,
        partial(scale_up.work.executor, training),
        storage=None,
        attributes=scale_up.attributes(),
        on_progress=lambda done, total: print(f"{done / total:.0%}", end="\r", flush=True),
    )
    run.write_csv("curve.csv", curve_frame(curve_rows(scale_up, seen)), CSV_FORMATS)
    export_networks(run, scale_up, training)
    drop_checkpoints(run)
    run.finish()


def main() -> None:
    """Train the networks of one space."""
    parser = argparse.ArgumentParser()
    parser.add_argument("space")
    parser.add_argument("--phi", type=int, default=1)
    parser.add_argument("--data-root", type=Path)
    asked = parser.parse_args()
    settings = Settings(asked.data_root, workers=1)
    scale_up = prepare_scale(origin(asked.space, settings), settings, Asked(up_to(asked.phi), SINGLE))
    name = f"inspect-{Path(asked.space).stem}"
    with open_run(Path("results"), name, "scale", scale_up.configuration) as run:
        train(scale_up, run)
    print(f"results/{name}")


if __name__ == "__main__":
    main()
