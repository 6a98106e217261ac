"""Step two as a function: the network grown by powers of phi, trained and exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.api import checks
from scaler.api.measuring import known_costs, measured
from scaler.api.options import DEFAULT_SPACE, Amount, listed, one_blas_thread, settings_of
from scaler.api.results import Scaling, Search
from scaler.errors import UserError

if TYPE_CHECKING:
    from scaler.growth.origin import Origin
    from scaler.growth.scale_up import Asked, ScaleUp
    from scaler.report.console import Output
    from scaler.runs import Run
    from scaler.scaling.multipliers import Coefficients
    from scaler.search.workload import Settings

_DEFAULT_SEEDS = 2


def scale(
    *,
    phi: str | float | Sequence[float] = "4",
    flops: Amount = None,
    search: str | Path | Search | None = None,
    path: str = "powers",
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    base: str | None = None,
    space: str | Path | None = None,
    data: str | None = None,
    data_root: str | Path | None = None,
    seeds: int | None = None,
    seed: int = 0,
    train: bool = True,
    compare: str | Sequence[str] | None = None,
    measure: bool = False,
    time_budget: str | float | None = None,
    skip_unreadable: bool = False,
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
) -> Scaling:
    """Grow the network: keep alpha, beta, gamma, raise them to powers of phi, train, and draw the curve.

    The options are those of ``scaler scale``; docs/cli.md says what each means. ``phi=4`` is 0, 1, .., 4 and
    ``phi=[4]`` is 4 alone; ``search`` takes what :func:`scaler.search` gave, too.

    Raises:
        UserError: an option is wrong, in one sentence.
        MachineError: the machine failed, not the user.
    """
    from scaler.growth.ladder import parse_phis
    from scaler.growth.policies import SINGLE, parse_compare
    from scaler.growth.scale_up import Asked
    from scaler.report.console import Output

    # What is only counted takes no time to fit into.
    usual = None if train else SINGLE
    named = compare if compare is None or isinstance(compare, str) else list(compare) or ["none"]
    compared = usual if named is None else parse_compare(listed(named))
    asked = Asked(parse_phis(listed(phi)), compared, None if flops is None else str(flops))
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
    source = _Source(
        results=Path(results),
        search=str(search.path if isinstance(search, Search) else search) if search is not None else None,
        base=base,
        space=None if space is None else str(space),
        own=_own(alpha, beta, gamma),
        path=path,
        overrides={"seeds": seeds or _DEFAULT_SEEDS, "data": data},
    )
    output = Output(quiet=quiet)
    with one_blas_thread():
        prepared = _planned(output, source, asked, settings, name, train=train)
        if dry_run:
            return _counted(prepared, train=train)
        return _run(output, prepared, Path(results), name, storage, train=train, measure=measure)


@dataclass(frozen=True)
class _Source:
    """Where coefficients, base, data and proxy may come from, as :func:`scale` has it."""

    results: Path
    search: str | None
    base: str | None
    space: str | None
    own: Coefficients | None
    path: str
    overrides: dict[str, Any]


def _own(alpha: float | None, beta: float | None, gamma: float | None) -> Coefficients | None:
    """The user's coefficients, if there are any."""
    from scaler.scaling.multipliers import Coefficients

    given = (alpha, beta, gamma)
    if all(value is None for value in given):
        return None
    checks.check_numbers(alpha=alpha, beta=beta, gamma=gamma)
    return Coefficients(*(1.0 if value is None else value for value in given))


def _planned(
    output: Output, source: _Source, asked: Asked, settings: Settings, name: str | None, *, train: bool
) -> ScaleUp:
    """The networks, counted and timed, with the plan of their trainings, which is told."""
    from scaler.growth.scale_up import fitted_before, prepare_scale
    from scaler.report.answers.scaling import scale_lines

    with output.working("Counting networks and timing this machine"):
        origin = _origin(output, source, settings)
        fitted = fitted_before(source.results, name, origin, asked, settings)
        prepared = prepare_scale(origin, settings, asked, fitted)
    for line in scale_lines(prepared, train=train):
        output.note(line)
    return prepared


def _origin(output: Output, source: _Source, settings: Settings) -> Origin:
    """The user's coefficients; else the search named or the newest of this base; else the published."""
    from scaler.growth.origin import find_search, none_found, origin_of, own_origin, published_origin
    from scaler.search.result import read_result
    from scaler.search.space import read_space

    own, space = source.own, source.space
    if source.path not in ("powers", "law"):
        raise UserError(f"--path {source.path!r} is no path: write powers or law")
    if own is not None or space is not None:
        other = "--space" if space is not None else "--alpha, --beta, --gamma"
        named = "--search" if source.search is not None else "--path law" if source.path == "law" else ""
        if named:
            raise UserError(f"{named} and {other} both say where coefficients come from: give one of them")
    run = find_search(source.results, source.search, source.base) if own is None and space is None else None
    if run is not None:
        output.note(f"Search      {run.path}")
        return origin_of(read_result(run), run.name, along_law=source.path == "law").on(source.overrides)
    if source.path == "law":
        raise UserError(
            "--path law follows what a search found: run `scaler search`, or name one by --search"
        )
    chosen = read_space(DEFAULT_SPACE if space is None else space).override(
        base=source.base, **source.overrides
    )
    if own is not None:
        return own_origin(own, chosen, settings)
    why = (
        none_found(source.results, source.base)
        if space is None
        else "not looked for, because --space is given"
    )
    output.note(
        f"Search      {why}: the published coefficients 1.2, 1.1, 1.15 are used; "
        "`scaler search` finds your own"
    )
    return published_origin(chosen, settings)


def _counted(prepared: ScaleUp, *, train: bool) -> Scaling:
    """What is known before the first training."""
    from scaler.execution.trials_table import trials_table
    from scaler.growth.scale_up import curve_rows
    from scaler.report.columns import curve_frame

    plan = prepared.work.summary() if train else None
    return Scaling(None, curve_frame(curve_rows(prepared, [])), trials_table([]), plan)


def _run(
    output: Output,
    prepared: ScaleUp,
    results: Path,
    name: str | None,
    storage: str | None,
    *,
    train: bool,
    measure: bool,
) -> Scaling:
    """Open the run, or go on with it, and see it to its end."""
    from scaler.runs import default_name, find_unfinished, open_run

    configuration = {**prepared.configuration, "train": train}
    unfinished = None if name else find_unfinished(results, configuration, "scale")
    largest = f"phi-{max((network.phi for network in prepared.networks), key=abs):g}"
    found = (
        unfinished.name if unfinished else name or default_name(results, prepared.native.base.name, largest)
    )
    with open_run(results, found, "scale", configuration, device=prepared.work.settings.device) as run:
        output.note(f"Run         {run.path}" + (" (goes on where it was)" if unfinished else ""))
        result = _finish(output, prepared, run, storage, train=train, measure=measure)
        run.finish()
    return result


def _finish(
    output: Output, prepared: ScaleUp, run: Run, storage: str | None, *, train: bool, measure: bool
) -> Scaling:
    """Train if asked to, and write the run's files."""
    from scaler.execution.run_trials import CHECKPOINTS, drop_checkpoints, run_trials
    from scaler.execution.trials_table import trials_table
    from scaler.growth.export import export_networks
    from scaler.growth.scale_up import curve_rows
    from scaler.report.answers.scaling import with_differences
    from scaler.report.columns import CSV_FORMATS, curve_frame
    from scaler.report.page.page import write_page, write_report

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
        specs = [network.native.spec for network in prepared.networks]
        costs = measured(output, specs, work.settings.device)
        rows = [row | cost for row, cost in zip(rows, costs, strict=True)]
    else:
        known = known_costs(run)
        rows = [row | known.get(str(row["network"]), {}) for row in rows]
    found = Scaling(run, curve_frame(rows), trials_table(seen), work.summary() if train else None)
    found = replace(found, curve=with_differences(found.curve, found.differences()))
    run.write_csv("curve.csv", found.curve, CSV_FORMATS)
    export_networks(run, prepared, training if train else None)
    drop_checkpoints(run)
    if train:
        write_report(run)
    else:
        write_page([run])
    return found
