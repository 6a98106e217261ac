"""``scaler scale``: step two, the network grown by powers of phi, trained and exported."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaler.cli import options
from scaler.cli.console import Output
from scaler.errors import UserError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaler.growth.origin import Origin
    from scaler.growth.scale_up import ScaleUp
    from scaler.runs import Run
    from scaler.scaling.multipliers import Coefficients
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
    path: Annotated[
        str,
        typer.Option(
            metavar="powers|law",
            help="Powers of the chosen alpha, beta, gamma; or the shares that the search's law finds best at "
            "every size.",
        ),
    ] = "powers",
    alpha: Annotated[
        float | None,
        typer.Option(metavar="X", help="Depth at phi = 1, of your own; those not given stay 1."),
    ] = None,
    beta: Annotated[float | None, typer.Option(metavar="X", help="... width.")] = None,
    gamma: Annotated[float | None, typer.Option(metavar="X", help="... resolution.")] = None,
    base: options.Base = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Take base, data and proxy from this search space, not from a search.",
            autocompletion=options.complete_space,
        ),
    ] = None,
    data: options.Data = None,
    data_root: options.DataRoot = None,
    seeds: options.Seeds = None,
    seed: options.Seed = 0,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train the networks, or only count them.")
    ] = True,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Policies grown to the same FLOPs beside it: depth, width, resolution, published, d1_w8_r1; "
            "all or none. Default: the single dimensions, and all of it fitted into ten minutes.",
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Also measure memory and latency of every network at its own size, on the device.",
        ),
    ] = False,
    time_budget: options.TimeBudget = None,
    predict: Annotated[
        str | None,
        typer.Option(
            metavar="10x|4G",
            help="Train nothing: the accuracy that the last scaling (or --name) lets expect there.",
        ),
    ] = None,
    for_accuracy: Annotated[
        str | None,
        typer.Option(metavar="85%", help="Train nothing: ... and the FLOPs at which it expects this."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and count them.")
    ] = False,
    device: options.Device = "auto",
    workers: options.Workers = None,
    engine: options.Engine = "local",
    ray_address: options.RayAddress = None,
    gpus_per_training: options.GpusPerTraining = None,
    checkpoints: options.Checkpoints = None,
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
    from scaler.growth.policies import parse_compare
    from scaler.growth.scale_up import Asked, fitted_before, prepare_scale
    from scaler.report.answers.scaling import scale_lines
    from scaler.search.workload import Settings

    output = Output(json, quiet)
    if predict is not None or for_accuracy is not None:
        _answer(output, results, name, predict, for_accuracy)
        return
    asked = Asked(parse_phis(phi), None if compare is None else parse_compare(compare), flops)
    where = Engine(options.engine_name(engine), ray_address, gpus_per_training, checkpoints)
    settings = Settings(data_root, skip_unreadable, seed, device, workers, time_budget, engine=where)
    own = _own(alpha, beta, gamma)
    overrides = {"seeds": seeds or _DEFAULT_SEEDS, "data": data}
    with output.working("Counting networks and timing this machine"):
        origin = _origin(output, results, search, base, space, own, settings, overrides, path)
        fitted = fitted_before(results, name, origin, asked, settings)
        prepared = prepare_scale(origin, settings, asked, fitted)
    for line in scale_lines(prepared):
        output.note(line)
    if dry_run:
        _print_networks(output, prepared)
        return
    _run(output, prepared, results, name, storage, train, measure)


def _answer(
    output: Output, results: Path, name: str | None, predicted: str | None, accuracy: str | None
) -> None:
    """What a finished scaling lets expect of networks that nobody has trained."""
    from scaler.growth.law import growth_laws
    from scaler.report.answers.growth_law import flops_lines, for_accuracy, predict, prediction_lines
    from scaler.report.run_tables import find_run, read_scaling

    run = find_run(results, name, kind="scale")
    curve, values = read_scaling(run)
    if not values:
        raise UserError(f"{run.path} has no trainings to learn a law from: run `scaler scale` first")
    output.note(f"Scaling     {run.path}")
    laws, base = growth_laws(curve, values), float(curve["flops"].min())
    data: dict[str, Any] = {"run": str(run.path)}
    lines: list[str] = []
    if predicted is not None:
        data["predictions"] = predict(laws, predicted, base)
        lines += prediction_lines(data["predictions"])
    if accuracy is not None:
        data["for_accuracy"] = for_accuracy(laws, accuracy)
        lines += flops_lines(data["for_accuracy"])
    output.result(data, *lines)


def _own(alpha: float | None, beta: float | None, gamma: float | None) -> Coefficients | None:
    """The user's coefficients, if there are any."""
    from scaler.scaling.multipliers import Coefficients

    given = (alpha, beta, gamma)
    if all(value is None for value in given):
        return None
    found = Coefficients(*(1.0 if value is None else value for value in given))
    _ = found.multipliers  # which says what is wrong with them
    return found


def _origin(
    output: Output,
    results: Path,
    search: str | None,
    base: str | None,
    space: str | None,
    own: Coefficients | None,
    settings: Settings,
    overrides: dict[str, Any],
    path: str,
) -> Origin:
    """The user's coefficients; else the search named or the newest of this base; else the published."""
    from scaler.growth.origin import find_search, origin_of, own_origin, published_origin
    from scaler.search.result import read_result
    from scaler.search.space import read_space

    if path not in ("powers", "law"):
        raise UserError(f"--path {path!r} is no path: write powers or law")
    if search is not None and (own or space):
        other = "--space" if space else "--alpha, --beta, --gamma"
        raise UserError(f"--search and {other} both say where coefficients come from: give one of them")
    run = find_search(results, search, base) if own is None and space is None else None
    if run is not None:
        output.note(f"Search      {run.path}")
        return origin_of(read_result(run), run.name, along_law=path == "law").on(overrides)
    if path == "law":
        raise UserError(
            "--path law follows what a search found: run `scaler search`, or name one by --search"
        )
    chosen = read_space(space or _DEFAULT_SPACE).override(base=base, **overrides)
    if own is not None:
        return own_origin(own, chosen, settings)
    why = f"none in {results}" if space is None else "not looked for, because --space is given"
    output.note(
        f"Search      {why}: the published coefficients 1.2, 1.1, 1.15 are used; "
        "`scaler search` finds your own"
    )
    return published_origin(chosen, settings)


def _run(
    output: Output,
    prepared: ScaleUp,
    results: Path,
    name: str | None,
    storage: str | None,
    train: bool,
    measure: bool,
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
        _finish(output, prepared, run, storage, train, measure)
        run.finish()
    output.note(f"Report      {run.path / 'report.html'}")
    output.note(f"Files       {run.path}; next: scaler pareto {run.path}")


def _finish(
    output: Output, prepared: ScaleUp, run: Run, storage: str | None, train: bool, measure: bool
) -> None:
    """Train if asked to, write the run's files, print the curve."""
    from scaler.execution.run_trials import CHECKPOINTS, drop_checkpoints, run_trials
    from scaler.growth.comparison import differences
    from scaler.growth.export import export_networks
    from scaler.growth.law import growth_laws
    from scaler.growth.scale_up import curve_rows
    from scaler.report.answers.growth_law import law_lines
    from scaler.report.answers.scaling import comparison_lines, with_differences
    from scaler.report.columns import CSV_FORMATS, CURVE_COLUMNS, SCALING_COLUMNS, cost_columns, curve_frame
    from scaler.report.page.page import write_page
    from scaler.report.pictures.of_run import save_pictures
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
    rows = curve_rows(prepared, seen)
    if measure:
        rows = _measured(output, prepared, rows)
    frame = curve_frame(rows)
    values = {(o.candidate, o.seed_index): o.accuracy for o in seen if o.state != "too large"}
    found = differences(frame, values)
    frame = with_differences(frame, found)
    run.write_csv("curve.csv", frame, CSV_FORMATS)
    export_networks(run, prepared, training if train else None)
    drop_checkpoints(run)
    if train:
        save_pictures(run)
    write_page([run])
    shown: list[RenderableType] = [
        rich_table(frame, (*CURVE_COLUMNS, *SCALING_COLUMNS, *cost_columns(frame))),
        *growth_lines(frame),
        *comparison_lines(found, prepared.origin.name),
        *(law_lines(growth_laws(frame, values)) if values else ()),
    ]
    content = {"run": str(run.path), "networks": records(frame), "differences": found}
    output.result(content, *shown)


def _measured(output: Output, prepared: ScaleUp, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """The rows of the curve with what the networks really cost."""
    from scaler.cost.measured import measured_costs
    from scaler.training.device import resolve

    device = str(resolve(prepared.work.settings.device).torch)
    with output.progress("Measuring", len(rows)) as advance:
        for row, network in zip(rows, prepared.networks, strict=True):
            row |= measured_costs(network.native.spec, device)
            advance()
    return rows


def _print_networks(output: Output, prepared: ScaleUp) -> None:
    from scaler.growth.scale_up import curve_rows
    from scaler.report.columns import CURVE_COLUMNS, SCALING_COLUMNS, curve_frame
    from scaler.report.tables import records, rich_table

    frame = curve_frame(curve_rows(prepared, []))
    output.result(records(frame), rich_table(frame, (*CURVE_COLUMNS, *SCALING_COLUMNS)))
