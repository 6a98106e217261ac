"""Trains the networks of ``results/reference/inspect/``: base, single dimensions, and compound of one base.

Run: ``python -m tests.benchmarks.inspect_networks SPACE.yaml [--phi 0] [--data-root DIR]``. The compound
policy is the published direction, whatever a search would choose, and all meet one budget. What comes out
is a run in ``results/``, as ``scaler scale`` writes one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scaler.execution.run_trials import CHECKPOINTS, drop_checkpoints, run_trials
from scaler.growth.export import export_networks
from scaler.growth.scale_up import COMPOUND, SINGLE, Origin, ScaleUp, curve_rows, prepare_scale
from scaler.report.columns import CSV_FORMATS, curve_frame
from scaler.runs import Run, open_run
from scaler.search.result import Policy
from scaler.search.session import prepare
from scaler.search.space import read_space
from scaler.search.workload import Settings


def origin(space_file: str, settings: Settings) -> Origin:
    """The candidates of these names in the search of this space, which is not run."""
    space = read_space(space_file)
    session = prepare(space, settings)
    kept = session.problem.candidates.kept
    found = {
        candidate.point.name: Policy(
            shares, candidate.coefficients, candidate.proxy_coefficients, candidate.native.ratio
        )
        for candidate, shares in zip(kept, session.work.experiment.shares, strict=True)
    }
    names = {COMPOUND: "published", **SINGLE}
    return Origin({policy: found[name] for policy, name in names.items() if name in found}, space)


def train(scale_up: ScaleUp, run: Run) -> None:
    """Train, and write what ``scaler scale`` writes."""
    training = scale_up.work.training(run.path / CHECKPOINTS, on_test=True)
    seen = run_trials(
        run,
        scale_up.work.experiment,
        scale_up.work.strategy,
        training,
        workers=1,
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
    scale_up = prepare_scale(origin(asked.space, settings), settings, phis=range(asked.phi + 1))
    name = f"inspect-{Path(asked.space).stem}"
    with open_run(Path("results"), name, "scale", scale_up.configuration) as run:
        train(scale_up, run)
    print(f"results/{name}")


if __name__ == "__main__":
    main()
