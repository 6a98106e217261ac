"""What a run found, in plain words, the most important first."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.growth.comparison import differences
from scaler.growth.law import growth_laws
from scaler.report.answers import growth_law, law
from scaler.report.answers.scaling import comparison_lines
from scaler.report.answers.search import result_lines
from scaler.report.columns import percent
from scaler.report.run_tables import read_answer, read_scaling, read_trials
from scaler.report.tables import goes, growth_lines
from scaler.report.trial_means import observations
from scaler.runs import Run
from scaler.scaling.budget import format_count, parse_budget
from scaler.search.result import SearchResult


def search_answer(run: Run) -> Iterator[str]:
    """Where the FLOPs should go, and how sure that is."""
    result = read_answer(run)
    if result is None:
        yield "This search is not finished: it has no answer yet."
        return
    factor = parse_budget(result.budget).relative
    spent = f"with {result.budget} the FLOPs" if factor else f"at {result.budget} FLOPs"
    yield f"{result.base}, {spent}: {_shares(result)}."
    yield from law.law_lines(result)
    yield from result_lines(result, observations(read_trials(run)))


def _shares(result: SearchResult) -> str:
    """Which part of the budget goes where, with intervals."""
    axes = ("depth", "width", "resolution")
    parts = sorted(((getattr(result.chosen.shares, axis), axis) for axis in axes), reverse=True)
    said = []
    for share, axis in parts:
        low, high = result.intervals[f"share_{axis}"]
        said.append(f"{share:.0%} to {axis} ({low:.0%} to {high:.0%})")
    return ", ".join(said)


def scale_answer(run: Run) -> Iterator[str]:
    """What growing gained, against what, and what more would gain."""
    curve, values = read_scaling(run)
    chosen = str(curve["policy"].iloc[0])
    own = curve[(curve["policy"] == chosen) & curve["accuracy"].notna()].sort_values("flops")
    if len(own) > 1:
        way = goes(own)
        first, last = (own.iloc[end] for end in ((0, -1) if way == "grows" else (-1, 0)))
        yield (
            f"{first['base']} {way} from {percent(first['accuracy'])} % at {format_count(first['flops'])} "
            f"FLOPs to {percent(last['accuracy'], last['accuracy_stderr'])} % at "
            f"{format_count(last['flops'])}."
        )
    elif len(own):
        one = own.iloc[0]
        reached = percent(one["accuracy"], one["accuracy_stderr"])
        yield f"{chosen}: {one['base']} reaches {reached} % at {format_count(one['flops'])} FLOPs."
    else:
        yield f"{chosen}: the networks were counted, and none was trained."
    if values:
        yield from comparison_lines(differences(curve, values), chosen)
    yield from growth_lines(curve)
    if values:
        yield from growth_law.law_lines(growth_laws(curve, values))
