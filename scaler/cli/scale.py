"""``scaler scale``: step two, the network grown by powers of phi, trained and exported."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from scaler.api import scaling
from scaler.api.results import Scaling, result_of
from scaler.cli import options
from scaler.errors import UserError
from scaler.report.console import Output

#: What has a meaning beside a prediction.
_OF_PREDICTIONS = ("predict", "for_accuracy", "results", "name", "json", "quiet")


def scale(
    context: typer.Context,
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
        typer.Option(
            metavar="X",
            **options.bounds("alpha"),
            callback=options.finite,
            help="Depth at phi = 1, of your own; those not given stay 1.",
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(metavar="X", **options.bounds("beta"), callback=options.finite, help="... width."),
    ] = None,
    gamma: Annotated[
        float | None,
        typer.Option(metavar="X", **options.bounds("gamma"), callback=options.finite, help="... resolution."),
    ] = None,
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
    output = Output(json, quiet)
    if predict is not None or for_accuracy is not None:
        options.refuse_others(context, "--predict and --for-accuracy train nothing", _OF_PREDICTIONS)
        _answer(output, results, name, predict, for_accuracy)
        return
    if flops is not None:
        options.refuse(context, "--flops finds the phi itself", "phi")
    if not train:
        options.refuse(context, "--no-train trains nothing", "time_budget", "storage", "seeds")
    found = scaling.scale(
        phi=phi,
        flops=flops,
        search=search,
        path=path,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        base=base,
        space=space,
        data=data,
        data_root=data_root,
        seeds=seeds,
        seed=seed,
        train=train,
        compare=compare,
        measure=measure,
        time_budget=time_budget,
        skip_unreadable=skip_unreadable,
        device=device,
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        gpus_per_training=gpus_per_training,
        checkpoints=checkpoints,
        storage=storage,
        results=results,
        name=name,
        dry_run=dry_run,
        quiet=quiet,
    )
    _print(output, found)
    if not dry_run:
        output.note(f"Report      {found.report}")
        then = f"scaler pareto {shlex.quote(str(found.path))}" if train else "the same without --no-train"
        output.note(f"Files       {found.path}; next: {then}")


def _answer(
    output: Output, results: Path, name: str | None, predicted: str | None, accuracy: str | None
) -> None:
    """What a finished scaling lets expect of networks that nobody has trained."""
    from scaler.report.answers.growth_law import flops_lines, for_accuracy, predict, prediction_lines
    from scaler.report.run_tables import find_run

    run = find_run(results, name, kind="scale")
    found = result_of(run)
    if not isinstance(found, Scaling) or found.trials.empty:
        raise UserError(f"{run.path} has no trainings to learn a law from: run `scaler scale` first")
    output.note(f"Scaling     {run.path}")
    laws = found.laws()
    data: dict[str, Any] = {"run": str(run.path)}
    lines: list[str] = []
    if predicted is not None:
        data["predictions"] = predict(laws, predicted, found.base_flops)
        lines += prediction_lines(data["predictions"])
    if accuracy is not None:
        data["for_accuracy"] = for_accuracy(laws, accuracy)
        lines += flops_lines(data["for_accuracy"])
    output.result(data, *lines)


def _print(output: Output, found: Scaling) -> None:
    from scaler.report.answers.growth_law import law_lines, law_rows
    from scaler.report.answers.scaling import comparison_lines
    from scaler.report.columns import CURVE_COLUMNS, SCALING_COLUMNS, cost_columns
    from scaler.report.tables import doubling_rows, growth_lines, records, rich_table

    curve = found.curve
    table = rich_table(curve, (*CURVE_COLUMNS, *SCALING_COLUMNS, *cost_columns(curve)))
    if found.run is None:
        output.result({"plan": found.plan, "networks": records(curve)}, table)
        return
    differences = found.differences()
    output.result(
        {
            "run": str(found.path),
            "networks": records(curve),
            "doublings": doubling_rows(curve),
            "differences": differences,
            "laws": law_rows(found.laws()),
        },
        table,
        *growth_lines(curve),
        *comparison_lines(differences, str(curve["policy"].iloc[0])),
        *law_lines(found.laws()),
    )
