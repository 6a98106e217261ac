"""``scaler search``: step one, the ways to spend the budget compared by short trainings."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaler.cli import early, options
from scaler.cli.console import Output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaler.runs import Run
    from scaler.search.session import Session

_DEFAULT_SPACE = "quick"


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
    from scaler.execution.executors.engine import Engine
    from scaler.report.answers.search import one_candidate, session_lines
    from scaler.scaling.budget import parse_count, parse_factor
    from scaler.search.session import fitted_before, prepare
    from scaler.search.space import read_space
    from scaler.search.workload import Settings

    output = Output(json, quiet)
    where = Engine(options.engine_name(engine), ray_address, gpus_per_training, checkpoints)
    early.check(device=device, name=name, storage=storage, results=results)
    asked = read_space(_DEFAULT_SPACE if space is None else space).override(
        base=base, budget=budget, data=data, strategy=strategy, seeds=seeds, up_to=parse_factor(up_to)
    )
    asked = asked.with_se(se, skip_last_stage=se_skip_last_stage)
    asked = asked.with_limits(
        params=parse_count(max_params),
        activations=parse_count(max_activations),
        memory=parse_count(max_memory),
        latency=max_latency,
    )
    settings = Settings(data_root, skip_unreadable, seed, device, workers, time_budget, where)
    with output.working("Counting candidates and timing this machine"):
        session = prepare(asked, settings, fitted_before(results, name, asked, settings))
    for line in session_lines(session):
        output.note(line)
    if len(session.problem.candidates.kept) == 1:
        output.warn(one_candidate(session))
    if data_root is not None and asked.data in ("fractals", "digits"):
        output.note(f"Note        --data-root is not used: {asked.data} has no files")
    if dry_run:
        _print_candidates(output, session)
        return
    _run(output, session, results, name, storage)


def _run(output: Output, session: Session, results: Path, name: str | None, storage: str | None) -> None:
    from scaler.execution.run_trials import drop_checkpoints
    from scaler.runs import default_name, find_unfinished, open_run

    for other in _of_other_versions(results):
        output.note(f"Note        {other} was begun by another version of Scaler and is left as it is")
    base, budget = session.problem.native.base.name, session.space.budget
    unfinished = None if name else find_unfinished(results, session.configuration)
    found = unfinished.name if unfinished else name or default_name(results, base, budget)
    with open_run(
        results, found, "search", session.configuration, device=session.work.settings.device
    ) as run:
        output.note(f"Run         {run.path}" + (" (goes on where it was)" if unfinished else ""))
        _train(output, session, run, storage)
        drop_checkpoints(run)
        run.finish()
    output.note(f"Report      {run.path / 'report.html'}")
    output.note(f"Files       {run.path}; next: {_next(session, results)}")


def _next(session: Session, results: Path) -> str:
    """The command that grows what was found here, and nothing else."""
    settings = session.work.settings
    words = ["scaler", "scale", "--phi", "4"]
    if results != Path("results"):
        words += ["--results", str(results)]
    if settings.data_root is not None:
        words += ["--data-root", str(settings.data_root)]
    if settings.skip_unreadable:
        words.append("--skip-unreadable")
    return shlex.join(words)


def _of_other_versions(results: Path) -> list[Path]:
    """Searches that are not finished, and that this version cannot go on with."""
    from scaler.runs import all_runs

    return [run.path for run in all_runs(results, "search") if not (run.finished or run.current)]


def _train(output: Output, session: Session, run: Run, storage: str | None) -> None:
    """Run the trainings, write the run's files, print the result."""
    from scaler.execution.run_trials import CHECKPOINTS, run_trials
    from scaler.report.answers.law import law_lines
    from scaler.report.answers.search import RESULT_COLUMNS, moved_lines, result_frame, result_lines
    from scaler.report.columns import CSV_FORMATS, candidate_frame
    from scaler.report.page.page import write_page
    from scaler.report.pictures.of_run import save_pictures
    from scaler.report.tables import rich_table
    from scaler.search.inference.selection import select
    from scaler.search.result import result_of, write_result
    from scaler.search.workload import validation_images

    work, kept = session.work, session.problem.candidates.kept
    frame = candidate_frame(kept, session.problem.candidates.left_out, session.off_budget)
    run.write_csv("candidates.csv", frame, CSV_FORMATS)
    with output.tracking("Training", work.plan.train_flops) as on_progress:
        seen = run_trials(
            run,
            work.experiment,
            work.strategy,
            partial(work.executor, work.training(run.path / CHECKPOINTS)),
            storage=storage,
            attributes=session.attributes(),
            on_progress=on_progress,
        )
    judged = validation_images(work.space, work.data)
    result = result_of(session, select(work.experiment, seen, validation_images=judged))
    content = write_result(run, result)
    save_pictures(run)
    write_page([run])
    shown: list[RenderableType] = [
        *law_lines(result),
        rich_table(result_frame(kept, result), RESULT_COLUMNS),
        *moved_lines(kept),
        *result_lines(result, seen),
    ]
    output.result({"run": str(run.path), **content}, *shown)


def _print_candidates(output: Output, session: Session) -> None:
    from scaler.report.answers.search import moved_lines
    from scaler.report.columns import PLAN_COLUMNS, candidate_frame
    from scaler.report.tables import records, rich_table

    candidates = session.problem.candidates
    frame = candidate_frame(candidates.kept, candidates.left_out, session.off_budget)
    plan = {**asdict(session.work.plan), "seconds": session.work.seconds, "workers": session.work.workers}
    shown: list[RenderableType] = [rich_table(frame, PLAN_COLUMNS), *moved_lines(candidates.kept)]
    output.result({"plan": plan, "candidates": records(frame)}, *shown)
