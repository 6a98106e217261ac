"""What a search tells: the plan beforehand, and the answer in a table and in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from scaler.cost.network_cost import cost
from scaler.execution.plan import Plan
from scaler.execution.protocol import Observation
from scaler.report.columns import Column, percent
from scaler.scaling.budget import format_count, format_factor
from scaler.search.candidates.candidate import Candidate
from scaler.search.candidates.realise import Scalable
from scaler.search.inference.rank_correlation import RankCorrelation, rank_correlation
from scaler.search.result import SearchResult
from scaler.search.session import Session
from scaler.search.workload import Workload, training_images, validation_images
from scaler.words import counted

#: A correlation with which early epochs rank well; an interval that reaches it leaves open whether they do.
_AGREES = 0.8
#: A plan so many times as long as it was asked to be says so.
_LONGER = 1.15

#: The terminal's table of results, best first.
RESULT_COLUMNS = (
    Column("network", "candidate", str, lambda row: str(row["network"])),
    Column("depth", "depth x", float, lambda row: f"{row['depth']:.2f}"),
    Column("width", "width x", float, lambda row: f"{row['width']:.2f}"),
    Column("resolution", "pixels", int, lambda row: f"{row['resolution']}"),
    Column("ratio", "FLOPs x", float, lambda row: f"{row['ratio']:.3f}"),
    Column("epochs", "epochs", int, lambda row: f"{row['epochs']}"),
    Column("seeds", "seeds", int, lambda row: f"{row['seeds']}"),
    Column("accuracy", "accuracy %", float, lambda row: percent(row["accuracy"], row["accuracy_stderr"])),
    Column("adjusted", "all seeds %", float, lambda row: percent(row["adjusted"]), varied=True),
    Column("mark", "", str, lambda row: str(row["mark"])),
)


def proxy_line(session_proxy: Scalable, native: Scalable) -> str:
    """What stands in for the base, and what was changed to make it small."""
    thin, full, reduced = session_proxy.base, native.base, session_proxy.reduced
    changes = [f"{thin.resolution} px", f"width x{reduced.width:g}"]
    if reduced.depth != 1:
        changes.append(f"depth x{reduced.depth:.2g}")
    if thin.total_stride != full.total_stride:
        changes.append(f"total stride {thin.total_stride} instead of {full.total_stride}")
    changes.append(f"{format_count(cost(thin).flops)} FLOPs")
    return ", ".join(changes)


def session_lines(session: Session) -> Iterator[str]:
    """The plan, in sentences, before the work starts."""
    problem, space, work = session.problem, session.space, session.work
    plan, data = work.plan, work.data
    base = problem.native.base
    kept, out = problem.candidates.kept, problem.candidates.left_out
    yield (
        f"Base        {base.name}, {base.resolution} px, {format_count(cost(base).flops)} FLOPs; "
        f"budget {space.budget} at phi = 1; channels in multiples of {problem.native.rounding.divisor}"
    )
    powers = problem.exponents
    yield (
        f"Exponents   FLOPs grow as depth^{powers.depth:.2f}, width^{powers.width:.2f}, "
        f"resolution^{powers.resolution:.2f} (measured)"
    )
    yield f"Proxy       {proxy_line(problem.proxy, problem.native)}"
    recipe = space.recipe
    images, judged = training_images(space, data), validation_images(space, data)
    yield (
        f"Data        {data.name}: {images} training images{fewer(recipe.images, images)} "
        f"of {len(data.classes)} classes, "
        f"{counted(recipe.epochs, 'epoch')}, compared on {judged} validation images"
    )
    for note in data.notes:
        yield f"            {note}"
    widest = max(c.native.effective.largest_difference(c.proxy.effective) for c in kept)
    yield (
        f"Candidates  {counted(len(kept), 'distinct network')} within {space.tolerance:.0%} of "
        f"{space.budget}, measured native and as proxy; of "
        f"{len(kept) + problem.candidates.aliases + len(out)} points "
        f"{problem.candidates.aliases} fell together and {len(out)} are left out; native and proxy "
        f"multipliers differ by at most {widest:.1%}"
    )
    yield from _moved_lines(kept)
    rungs = zip(plan.by_rung, space.rungs, strict=True)
    reached = ", ".join(f"{count} to {epochs}" for count, epochs in rungs)
    yield (
        f"Plan        {space.strategy}: {counted(plan.trainings, 'training')}{_off(plan)} "
        f"({reached} epoch{'' if list(space.rungs) == [1] else 's'}), "
        f"{plan.images:,} images, "
        f"{format_count(plan.train_flops)} training FLOPs, about {duration(work.seconds)} on "
        f"{counted(work.workers, 'worker')}"
    )
    yield from longer(work)
    yield (
        f"Tells       what a doubling of FLOPs buys on an axis to about ± {session.resolution:.1f} times a "
        "training's scatter from seed to seed (90 %)"
    )


def longer(work: Workload) -> Iterator[str]:
    """Said where a plan takes clearly longer than it was asked to."""
    asked = work.settings.time_budget
    if asked and work.seconds > _LONGER * asked:
        yield f"            that is longer than the {duration(asked)} asked for: less would tell nothing"


def fewer(wanted: int, there: int) -> str:
    """Said where the recipe asks for many more images than there are."""
    return f" (all there are, of {wanted} asked for)" if there < 0.9 * wanted else ""


def one_candidate(session: Session) -> str:
    """What a search of a single candidate cannot tell."""
    name = session.problem.candidates.kept[0].point.name
    base = session.problem.native.base
    finer = "" if base.stages else f"let {base.name} take finer steps of depth and width, "
    return (
        f"only one network, {name}, meets the budget, so there is nothing to compare: "
        f"{finer}raise the tolerance or the budget, or take a finer grid"
    )


def _moved_lines(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Why a single dimension's network has another one moved as well, where it has."""
    moved = []
    for candidate in candidates:
        axis, _, only = candidate.point.name.partition("-")
        if only == "only":
            others = vars(candidate.native.effective).items()
            moved += [
                f"{candidate.point.name} has {name} {value:.2f}x"
                for name, value in others
                if name != axis and abs(value - 1) > 0.005
            ]
    if moved:
        yield f"            {'; '.join(moved)}: by its own axis alone it would miss the budget"


def _off(plan: Plan) -> str:
    """Where trainings are, if some are off the budget."""
    return f", {plan.off_budget} of them off the budget" if plan.off_budget else ""


def duration(seconds: float) -> str:
    """A time for people: ``45 s``, ``4 min 50 s``, ``1 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def result_frame(candidates: pd.DataFrame, result: SearchResult) -> pd.DataFrame:
    """A row per candidate that was trained, best first.

    ``accuracy`` is the mean of its own trainings, as everywhere. ``adjusted`` is what it would be with the
    seeds of all candidates; it is missing where it is the same for each.

    Args:
        candidates: the table of ``candidates.csv``.
        result: the answer.
    """
    by_name = candidates[candidates["feasible"].astype(bool)].set_index("network")
    scores = [score for score in result.scores if score.network in by_name.index]
    differ = any(abs(score.accuracy - score.adjusted_accuracy) > 5e-4 for score in scores)
    rows = []
    for score in scores:
        native = by_name.loc[score.network]
        mark = "cannot be told from it" if score.network in result.best_set else ""
        rows.append(
            {
                "network": score.network,
                "depth": native["depth"],
                "width": native["width"],
                "resolution": native["resolution"],
                "ratio": native["flops_ratio"],
                "epochs": score.epochs,
                "seeds": score.seeds,
                "accuracy": score.accuracy,
                "accuracy_stderr": score.accuracy_stderr,
                "adjusted": score.adjusted_accuracy if differ else None,
                "mark": "chosen" if score.network == result.network else mark,
            }
        )
    return pd.DataFrame(rows)


def result_lines(result: SearchResult, seen: Sequence[Observation]) -> Iterator[str]:
    """The choice, in sentences, and how sure it is."""
    values = {"alpha": result.alpha, "beta": result.beta, "gamma": result.gamma}
    listed = ", ".join(
        f"{name} = {value:.3f} [{result.intervals[name][0]:.3f}, {result.intervals[name][1]:.3f}]"
        for name, value in values.items()
    )
    yield f"Chosen: {result.network}, {listed}"
    yield from _beats(result)
    yield from _certainty(result, any(o.state == "too large" for o in seen))
    candidates = [o for o in seen if o.candidate < len(result.policies)]
    yield from fidelity_lines(result.space.rungs[-1], rank_correlation(candidates))


def _beats(result: SearchResult) -> Iterator[str]:
    """The probability that the choice is better than each single dimension, at every size."""
    for axis, by_size in result.law.beats.items():
        listed = ", ".join(
            f"{probability:.2f} at {format_factor(float(size.removesuffix('x')))}"
            for size, probability in by_size.items()
        )
        yield f"It beats {axis} alone with probability {listed}."


def _certainty(result: SearchResult, too_large: bool) -> Iterator[str]:
    """What the best set says, and what was left out."""
    if result.diverged:
        how = "diverged, or needed more memory than there is," if too_large else "diverged"
        yield f"{', '.join(result.diverged)} {how} in at least one training and cannot be chosen."
    tied, candidates = len(result.best_set), len(result.policies)
    stable = candidates - len(set(result.diverged) & set(result.policies))
    if tied == stable > 1:
        yield "No candidate can be told from the best: the choice is little better than a guess."
    elif tied > 1:
        yield f"{tied} of {candidates} candidates cannot be told from the best: {_listed(result.best_set)}."
    if all(score.network != result.network for score in result.scores):
        yield f"{result.network} was not trained itself: the law says what it is worth."
    early = sum(score.rung < len(result.space.rungs) - 1 for score in result.scores)
    if early:
        yield (
            f"{early} of {candidates} candidates stopped before epoch {result.space.rungs[-1]}: "
            "what they would have reached is judged by the others."
        )


def _listed(names: Sequence[str]) -> str:
    """Names, or the first of many."""
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def fidelity_lines(epochs: int, found: Sequence[RankCorrelation]) -> Iterator[str]:
    """How well short trainings ranked the candidates, where enough of them ran to the end to say so.

    Args:
        epochs: of a full training.
        found: correlation of every rung's ranking with the last's.
    """
    for one in found:
        low, high = one.spearman_interval
        yield (
            f"Ranks after {one.epochs} of {epochs} epochs against the last: Spearman {one.spearman:.2f} "
            f"[{low:.2f}, {high:.2f}] over {one.candidates} candidates."
        )
    if sentence := warning(found):
        yield sentence


def warning(correlations: Sequence[RankCorrelation]) -> str | None:
    """A sentence where a rung's ranking cannot be trusted to say anything of the last; else None."""
    blind = [c for c in correlations if not c.spearman_interval[0] > 0]
    if not blind:
        return None
    worst = min(blind, key=lambda c: c.spearman)
    low, high = worst.spearman_interval
    listed = ", ".join(str(c.epochs) for c in blind)
    after = f"after {listed} {'epoch' if listed == '1' else 'epochs'}"
    if high >= _AGREES:
        return (
            f"Whether the order {after} is that of full trainings, so few candidates do not say: "
            f"{worst.candidates}, Spearman {worst.spearman:.2f}, 95 % interval {low:.2f} to {high:.2f}."
        )
    return (
        f"The proxy cannot rank: {after} the order of the candidates may have nothing to do "
        f"with that of full trainings (Spearman {worst.spearman:.2f}, 95 % interval "
        f"{low:.2f} to {high:.2f}); train longer, on more images, or with more seeds."
    )


def correlation_text(row: RankCorrelation) -> str:
    """Both rank correlations with their intervals."""
    s, k = row.spearman_interval, row.kendall_interval
    return (
        f"Spearman {row.spearman:.2f} [{s[0]:.2f}, {s[1]:.2f}], "
        f"Kendall {row.kendall:.2f} [{k[0]:.2f}, {k[1]:.2f}] over {row.candidates} candidates"
    )
