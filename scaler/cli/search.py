"""``scaler search``: step one, the ways to spend the budget compared by short trainings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from scaler.api import searching
from scaler.api.results import Search
from scaler.cli import options
from scaler.report.console import Output


def search(
    base: options.Base = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="2x|800M", help="FLOPs at phi = 1: a factor on the base, or a count."),
    ] = None,
    space: options.Space = None,
    data: options.Data = None,
    data_root: options.DataRoot = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=options.complete_strategy,
            help="Which trainings are run, e.g. law@0.15 or exhaustive.",
        ),
    ] = None,
    up_to: Annotated[
        str | None,
        typer.Option(metavar="16x", help="Largest size that growth is asked about, as a factor on the base."),
    ] = None,
    se: options.Se = None,
    se_skip_last_stage: options.SeSkipLastStage = False,
    max_params: Annotated[
        str | None, typer.Option(metavar="N", help="Candidates may have so many parameters, e.g. 8M.")
    ] = None,
    max_activations: Annotated[
        str | None, typer.Option(metavar="N", help="... so many activations for one image, e.g. 12M.")
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="... take so much memory in training (batch 32), e.g. 6G."),
    ] = None,
    max_latency: Annotated[
        float | None,
        typer.Option(
            metavar="MS", callback=options.finite, help="... take so many milliseconds for one image."
        ),
    ] = None,
    seeds: options.Seeds = None,
    seed: options.Seed = 0,
    time_budget: options.TimeBudget = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read, and count them.")
    ] = False,
    keep_weights: Annotated[
        bool,
        typer.Option(
            "--keep-weights",
            help="Keep base and candidates that were trained to the end, to look into and to export.",
            rich_help_panel="Output",
        ),
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
    """Find how a base network should grow: compare the ways to spend a FLOP budget by short trainings.

    Interrupted, the same command goes on where it was.

    Example: scaler search --base effnet-b0 --budget 2x
    """
    found = searching.search(
        base=base,
        budget=budget,
        space=space,
        data=data,
        data_root=data_root,
        strategy=strategy,
        up_to=up_to,
        se=se,
        se_skip_last_stage=se_skip_last_stage,
        max_params=max_params,
        max_activations=max_activations,
        max_memory=max_memory,
        max_latency=max_latency,
        seeds=seeds,
        seed=seed,
        time_budget=time_budget,
        skip_unreadable=skip_unreadable,
        keep_weights=keep_weights,
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
    output = Output(json, quiet)
    if dry_run:
        _print_plan(output, found)
        return
    _print_answer(output, found)
    output.note(f"Report      {found.report}")
    output.note(f"Files       {found.path}; next: {_next(results, data_root, skip_unreadable)}")


def _next(results: Path, data_root: Path | None, skip_unreadable: bool) -> str:
    """The command that grows what was found here, and nothing else."""
    words = ["scaler", "scale", "--phi", "4"]
    if results != Path("results"):
        words += ["--results", str(results)]
    if data_root is not None:
        words += ["--data-root", str(data_root)]
    if skip_unreadable:
        words.append("--skip-unreadable")
    return shlex.join(words)


def _print_answer(output: Output, found: Search) -> None:
    from scaler.report.answers.law import law_lines
    from scaler.report.answers.search import RESULT_COLUMNS, result_frame, result_lines
    from scaler.report.tables import rich_table
    from scaler.report.trial_means import observations
    from scaler.search.result import as_json

    answer = found.answer
    output.result(
        {"run": str(found.path), **as_json(answer)},
        *law_lines(answer),
        rich_table(result_frame(found.candidates, answer), RESULT_COLUMNS),
        *result_lines(answer, observations(found.trials)),
    )


def _print_plan(output: Output, found: Search) -> None:
    from scaler.report.columns import PLAN_COLUMNS
    from scaler.report.tables import records, rich_table

    table = rich_table(found.candidates, PLAN_COLUMNS)
    output.result({"plan": found.plan, "candidates": records(found.candidates)}, table)
