"""``scaler replay``: search strategies against a recorded table of trainings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaler.cli import options
from scaler.errors import UserError
from scaler.report.console import Output, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaler.execution.protocol import Strategy
    from scaler.replay.evaluation import Score
    from scaler.replay.simulator import Simulator
    from scaler.replay.table import Table

#: As quick as replays should be; the baselines are asked for by name, or by ``all``.
_DEFAULT = "exhaustive,one-seed,halving,random,racing,knowledge-gradient,law"


def replay(
    tables: Annotated[
        list[Path],
        typer.Argument(metavar="TABLE...", help="Tables (CSV), or directories of exhaustive searches."),
    ],
    strategy: Annotated[
        str,
        typer.Option(
            metavar="all|NAME[@FRACTION],...",
            autocompletion=options.complete_strategy,
            help="Strategies; @0.2 lets one spend a fifth of exhaustive's training FLOPs.",
        ),
    ] = _DEFAULT,
    replays: Annotated[
        int, typer.Option(metavar="N", min=1, max=1_000_000, help="Replays of each strategy.")
    ] = 1000,
    metric: Annotated[
        str, typer.Option(metavar="accuracy|loss", help="What candidates are chosen by.")
    ] = "accuracy",
    seed: options.Seed = 0,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the scores to this CSV file.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the first table as one CSV file, and stop.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run search strategies against recorded trainings: what they spend, and how good their choice is.

    Cost is training FLOPs as a part of exhaustive's; regret is how many points of accuracy the choice lies
    below the best candidate. The truth is drawn for every replay from what the table leaves possible.

    Example: scaler replay results/reference/tables/effnet-b0-fractals.csv --replays 200
    """
    from scaler.replay.simulator import simulator_of
    from scaler.replay.table import frame_of, read_table, write_table
    from scaler.search.strategies.registry import parse_strategy

    printed = Output(json, quiet)
    if metric not in ("accuracy", "loss"):
        raise UserError(f"cannot choose by {metric!r}: --metric is accuracy or loss")
    if not strategy.strip(", "):
        raise UserError("--strategy names none: write all, or some such as exhaustive,racing@0.2")
    field = [(text.strip(), parse_strategy(text)) for text in _names(strategy).split(",")]
    read = [read_table(path) for path in tables]
    if record is not None:
        write_table(frame_of(tables[0]), record, f"scaler replay {tables[0].name} --record {record.name}")
        printed.note(f"Wrote {record}")
        return
    _print_fidelity(printed, read)
    simulators = [simulator_of(one) for one in read]  # what is no use is refused before the first is played
    rows = [score for one in simulators for score in _scores(printed, one, field, replays, metric, seed)]
    if output is not None:
        _write(rows, output)
    printed.result([vars(row) for row in rows], _shown(rows))


def _names(text: str) -> str:
    from scaler.search.strategies.registry import STRATEGIES

    return ",".join(STRATEGIES) if text == "all" else text


def _scores(
    printed: Output,
    simulator: Simulator,
    field: list[tuple[str, Strategy]],
    count: int,
    metric: str,
    seed: int,
) -> list[Score]:
    from scaler.replay.evaluation import reference_regrets, replays, score
    from scaler.report.answers.replay import reference_text

    one, scores = simulator.table, []
    printed.note(f"{one.name}: {reference_text(reference_regrets(simulator, count, seed), one)}")
    with printed.progress(f"Replaying {one.name}", count * len(field)) as advance:
        for label, strategy in field:
            outcomes = []
            for outcome in replays(
                simulator, strategy, count, seed, "loss" if metric == "loss" else "accuracy"
            ):
                outcomes.append(outcome)
                advance(1, f"{one.name}: {label}")
            scores.append(score(simulator, label, outcomes))
    return scores


def _print_fidelity(printed: Output, tables: list[Table]) -> None:
    """How short trainings rank, and how proxies agree, as notes."""
    from scaler.replay.proxy_agreement import proxy_correlation
    from scaler.replay.table import observations
    from scaler.report.answers.search import correlation_text, warning
    from scaler.search.inference.rank_correlation import rank_correlation

    for one in tables:
        candidates = [o for o in observations(one) if o.candidate < len(one.experiment.shares)]
        found = rank_correlation(candidates)
        for row in found:
            printed.note(f"{one.name}: epoch {row.epochs} against the last: {correlation_text(row)}")
        if sentence := warning(found):
            printed.warn(f"{one.name}: {sentence}")
    for i, one in enumerate(tables):
        for other in tables[i + 1 :]:
            if agreement := proxy_correlation(one, other):
                printed.note(f"{one.name} against {other.name}: {correlation_text(agreement)}")


def _shown(rows: list[Score]) -> RenderableType:
    # What no table can tell, such as regret at a larger size, is not shown.
    known = [name for name in vars(rows[0]) if not all(_is_nan(vars(row)[name]) for row in rows)]
    headings = {name: "left" if name in ("table", "strategy") else "right" for name in known}
    cells = [[f"{v:.3f}" if isinstance(v := vars(row)[name], float) else v for name in known] for row in rows]
    return table(headings, cells)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _write(rows: list[Score], path: Path) -> None:
    import pandas as pd

    from scaler.files import write_bytes

    text = pd.DataFrame([vars(row) for row in rows]).to_csv(index=False, float_format="%.4f")
    write_bytes(path, text.encode(), "--output")
