"""Step one as a function: the ways to spend the budget compared by short trainings."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.api import checks
from scaler.api.options import DEFAULT_SPACE, Amount, count, one_blas_thread, settings_of
from scaler.api.results import Search

if TYPE_CHECKING:
    from scaler.report.console import Output
    from scaler.runs import Run
    from scaler.search.session import Session
    from scaler.search.space import Space
    from scaler.search.workload import Settings


def search(
    *,
    base: str | None = None,
    budget: Amount = None,
    space: str | Path | None = None,
    data: str | None = None,
    data_root: str | Path | None = None,
    strategy: str | None = None,
    up_to: str | float | None = None,
    se: float | None = None,
    se_skip_last_stage: bool = False,
    max_params: Amount = None,
    max_activations: Amount = None,
    max_memory: Amount = None,
    max_latency: float | None = None,
    seeds: int | None = None,
    seed: int = 0,
    time_budget: str | float | None = None,
    skip_unreadable: bool = False,
    keep_weights: bool = False,
    device: str = "auto",
    workers: int | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    gpus_per_training: float | None = None,
    checkpoints: str | None = None,
    storage: str | None = None,
    results: str | Path = "results",
    name: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> Search:
    """Find how a base network should grow: compare the ways to spend a FLOP budget by short trainings.

    The options are those of ``scaler search``; docs/cli.md says what each means. Interrupted, the same
    call goes on where it was.

    Raises:
        UserError: an option is wrong, in one sentence.
        MachineError: the machine failed, not the user.
    """
    from scaler.report.console import Output
    from scaler.scaling.budget import parse_factor

    checks.check_numbers(seed=seed, seeds=seeds, workers=workers, se=se)
    output = Output(quiet=quiet)
    # What follows imports torch: a person is told first.
    with output.working("Counting candidates and timing this machine"), one_blas_thread():
        asked = _space(space).override(
            base=base,
            budget=None if budget is None else str(budget),
            data=data,
            strategy=strategy,
            seeds=seeds,
            up_to=parse_factor(None if up_to is None else str(up_to)),
        )
        asked = asked.with_se(se, skip_last_stage=se_skip_last_stage).with_limits(
            params=count(max_params),
            activations=count(max_activations),
            memory=count(max_memory),
            latency=max_latency,
        )
        settings = settings_of(
            data_root=data_root,
            skip_unreadable=skip_unreadable,
            seed=seed,
            seeds=seeds,
            device=device,
            workers=workers,
            time_budget=time_budget,
            engine=engine,
            ray_address=ray_address,
            gpus_per_training=gpus_per_training,
            checkpoints=checkpoints,
        )
        checks.check(device=device, name=name, storage=storage, results=Path(results), engine=settings.engine)
        session = _prepared(asked, settings, Path(results), name)
    _tell(output, session)
    if dry_run:
        return _found(session)
    with one_blas_thread():
        return _run(output, session, Path(results), name, storage, keep_weights=keep_weights)


def _space(space: str | Path | None) -> Space:
    from scaler.search.space import read_space

    return read_space(DEFAULT_SPACE if space is None else str(space))


def _prepared(asked: Space, settings: Settings, results: Path, name: str | None) -> Session:
    """The search with its candidates, data and plan."""
    from scaler.search.session import earlier, prepare

    return prepare(asked, settings, earlier(results, name, asked, settings))


def _tell(output: Output, session: Session) -> None:
    """Say what is going to be searched, and how long it takes."""
    from scaler.report.answers.search import one_candidate, session_lines

    for line in session_lines(session):
        output.note(line)
    if len(session.problem.candidates.kept) == 1:
        output.warn(one_candidate(session))


def _run(
    output: Output,
    session: Session,
    results: Path,
    name: str | None,
    storage: str | None,
    *,
    keep_weights: bool,
) -> Search:
    """Open the run, or go on with it, and see it to its end."""
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
        result = _train(output, session, run, storage, keep_weights=keep_weights)
        run.finish()
        drop_checkpoints(run)
    return result


def _of_other_versions(results: Path) -> list[Path]:
    """Searches that are not finished, and that this version cannot go on with."""
    from scaler.runs import all_runs

    return [run.path for run in all_runs(results, "search") if not (run.finished or run.current)]


def _train(output: Output, session: Session, run: Run, storage: str | None, *, keep_weights: bool) -> Search:
    """Run the trainings, and write the run's files."""
    from scaler.execution.run_trials import CHECKPOINTS, run_trials
    from scaler.execution.trials_table import trials_table
    from scaler.growth.export import keep_searched
    from scaler.report.columns import CSV_FORMATS
    from scaler.report.page.page import write_report
    from scaler.search.inference.selection import select
    from scaler.search.result import result_of, write_result
    from scaler.search.session import check_counts, every
    from scaler.search.workload import validation_images

    work, found = session.work, _found(session, run)
    training = work.training(run.path / CHECKPOINTS)
    with output.working("Counting every candidate with fvcore"):
        check_counts(every(session.problem))
    run.write_csv("candidates.csv", found.candidates, CSV_FORMATS)
    with output.tracking("Training", work.plan.train_flops) as on_progress:
        seen = run_trials(
            run,
            work.experiment,
            work.strategy,
            partial(work.executor, training),
            storage=storage,
            attributes=session.attributes(),
            on_progress=on_progress,
        )
    judged = validation_images(work.space, work.data)
    selection = select(work.experiment, seen, validation_images=judged)
    write_result(run, result_of(session, selection))
    if keep_weights:
        keep_searched(run, session, selection.candidate, seen, training)
    write_report(run)
    return replace(found, trials=trials_table(seen))


def _found(session: Session, run: Run | None = None) -> Search:
    """What is known before the first training."""
    from scaler.execution.trials_table import trials_table
    from scaler.report.columns import candidate_frame

    work, candidates = session.work, session.problem.candidates
    frame = candidate_frame(candidates.kept, candidates.left_out, session.off_budget)
    return Search(run, frame, trials_table([]), work.summary())
