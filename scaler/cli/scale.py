"""``scaler scale``: step two, the network grown by powers of phi, trained and exported."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaler.cli import options
from scaler.cli.console import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaler.growth.scale_up import Origin, ScaleUp
    from scaler.runs import Run
    from scaler.search.workload import Settings

_DEFAULT_SPACE = "quick"
_DEFAULT_SEEDS = 2


def scale(
    phi: Annotated[
        str,
        typer.Option(
            metavar="PHI", help="4 is 0, 1, .., 4; 0.5,1,2.5 is those; negative shrinks. Default: 4."
        ),
    ] = "4",
    flops: Annotated[
        str | None,
        typer.Option(
            metavar="4G", help="Instead of --phi: find the phi whose network measures so many FLOPs."
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="The search to take coefficients from; default: the newest finished."
        ),
    ] = None,
    base: options.Base = None,
    data: options.Data = None,
    data_root: options.DataRoot = None,
    seeds: options.Seeds = None,
    seed: options.Seed = 0,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train the networks, or only count them.")
    ] = True,
    compare: Annotated[
        bool, typer.Option("--compare", help="Grow by each single dimension as well, and compare.")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and count them.")
    ] = False,
    device: options.Device = "auto",
    workers: options.Workers = None,
    engine: options.Engine = "local",
    ray_address: options.RayAddress = None,
    gpus_per_training: options.GpusPerTraining = 1.0,
    storage: options.Storage = None,
    results: options.Results = Path("results"),
    name: options.Name = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Grow the network: keep alpha, beta, gamma, raise them to powers of phi, train, and draw the curve.

    Without a finished search in the results, the published 1.2, 1.1, 1.15 are used.

    Example: scaler scale --phi 4
    """
    from scaler.execution.executors.engine import Engine
    from scaler.growth.ladder import parse_phis
    from scaler.growth.scale_up import prepare_scale
    from scaler.report.scale_report import scale_lines
    from scaler.search.workload import Settings

    output = Output(json, quiet)
    phis = parse_phis(phi)
    where = Engine(options.engine_name(engine), ray_address, gpus_per_training)
    settings = Settings(data_root, skip_unreadable, seed, device, workers, engine=where)
    with output.working("Counting networks and timing this machine"):
        origin = _origin(
            output, results, search, base, settings, {"seeds": seeds or _DEFAULT_SEEDS, "data": data}
        )
        if not compare:
            origin = origin.chosen_only
        prepared = prepare_scale(origin, settings, phis=phis, flops=flops)
    for line in scale_lines(prepared):
        output.note(line)
    if dry_run:
        _print_networks(output, prepared)
        return
    _run(output, prepared, results, name, storage, train)


def _origin(
    output: Output,
    results: Path,
    search: str | None,
    base: str | None,
    settings: Settings,
    overrides: dict[str, Any],
) -> Origin:
    """The search named, else the newest finished one of this base, else the published coefficients."""
    from scaler.growth.scale_up import find_search, origin_of, published_origin
    from scaler.search.result import read_result
    from scaler.search.space import read_space

    run = find_search(results, search, base)
    if run is not None:
        output.note(f"Search      {run.path}")
        return origin_of(read_result(run), run.name).on(overrides)
    output.note(
        f"Search      none in {results}: the published coefficients 1.2, 1.1, 1.15 are used; "
        "`scaler search` finds your own"
    )
    space = read_space(_DEFAULT_SPACE).override(base=base, **overrides)
    return published_origin(space, settings)


def _run(
    output: Output, prepared: ScaleUp, results: Path, name: str | None, storage: str | None, train: bool
) -> None:
    from scaler.runs import default_name, find_unfinished, open_run

    configuration = {**prepared.configuration, "train": train}
    unfinished = None if name else find_unfinished(results, configuration, "scale")
    largest = f"phi-{max((network.phi for network in prepared.networks), key=abs):g}"
    found = (
        unfinished.name if unfinished else name or default_name(results, prepared.native.base.name, largest)
    )
    with open_run(results, found, "scale", configuration, device=prepared.work.settings.device) as run:
        output.note(f"Run         {run.path}" + (" (goes on where it was)" if unfinished else ""))
        _finish(output, prepared, run, storage, train)
        run.finish()
    output.note(f"Files       {run.path}; next: scaler pareto {run.path}")


def _finish(output: Output, prepared: ScaleUp, run: Run, storage: str | None, train: bool) -> None:
    """Train if asked to, write the run's files, print the curve."""
    from scaler.execution.run_trials import CHECKPOINTS, drop_checkpoints, run_trials
    from scaler.growth.export import export_networks
    from scaler.growth.scale_up import curve_rows
    from scaler.report.columns import CSV_FORMATS, CURVE_COLUMNS, curve_frame
    from scaler.report.pictures import save_pictures
    from scaler.report.tables import growth_lines, records, rich_table

    work = prepared.work
    # The held-out test part judges, for nothing is chosen by it any more.
    training = work.training(run.path / CHECKPOINTS, on_test=True)
    seen = []
    if train:
        with output.tracking("Training", work.plan.train_flops) as on_progress:
            seen = run_trials(
                run,
                work.experiment,
                work.strategy,
                partial(work.executor, training),
                storage=storage,
                attributes=prepared.attributes(),
                on_progress=on_progress,
            )
    frame = curve_frame(curve_rows(prepared, seen))
    run.write_csv("curve.csv", frame, CSV_FORMATS)
    export_networks(run, prepared, training if train else None)
    drop_checkpoints(run)
    if train:
        save_pictures(run)
    shown: list[RenderableType] = [rich_table(frame, CURVE_COLUMNS), *growth_lines(frame)]
    output.result({"run": str(run.path), "networks": records(frame)}, *shown)


def _print_networks(output: Output, prepared: ScaleUp) -> None:
    from scaler.growth.scale_up import curve_rows
    from scaler.report.columns import CURVE_COLUMNS, curve_frame
    from scaler.report.tables import records, rich_table

    frame = curve_frame(curve_rows(prepared, []))
    output.result(records(frame), rich_table(frame, CURVE_COLUMNS))
