"""What a search tells: its files, and the tables and sentences for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

import pandas as pd

from scaler.cost.closed_form import cost
from scaler.report.columns import Column, percent
from scaler.scaling.budget import format_count
from scaler.search.candidate import Candidate
from scaler.search.fidelity import rank_correlation, warning
from scaler.search.realise import Scalable
from scaler.search.selection import Answer, Standing
from scaler.search.session import Session
from scaler.search.types import Observation

COEFFICIENTS_FILE = "coefficients.json"

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
    problem, space, plan = session.problem, session.space, session.plan
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
    images = recipe.images or session.data.sizes["train"]
    judged = recipe.validation_images or session.data.sizes["validation"]
    yield (
        f"Data        {session.data.name}: {images} training images of {len(session.data.classes)} classes, "
        f"{recipe.epochs} epochs, compared on {judged} validation images"
    )
    for note in session.data.notes:
        yield f"            {note}"
    widest = max(c.native.effective.distance(c.proxy.effective) for c in kept)
    yield (
        f"Candidates  {len(kept)} distinct networks within {space.tolerance:.0%} of {space.budget}, measured "
        f"native and as proxy; of {len(kept) + problem.candidates.aliases + len(out)} points "
        f"{problem.candidates.aliases} fell together and {len(out)} are left out; native and proxy "
        f"multipliers differ by at most {widest:.1%}"
    )
    reached = ", ".join(
        f"{count} to {epochs}" for count, epochs in zip(plan.by_rung, space.rungs, strict=True)
    )
    yield (
        f"Plan        {space.strategy}: {plan.trainings} trainings ({reached} epochs), "
        f"{plan.images:,} images, "
        f"{format_count(plan.train_flops)} training FLOPs, about {duration(session.seconds)} on "
        f"{session.workers} worker{'s' if session.workers > 1 else ''}"
    )


def duration(seconds: float) -> str:
    """A time for people: ``45 s``, ``4 min 50 s``, ``1 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def result_frame(session: Session, answer: Answer) -> pd.DataFrame:
    """A row per candidate, best first."""
    return pd.DataFrame([_result_row(session, answer, standing) for standing in answer.standings])


def _result_row(session: Session, answer: Answer, standing: Standing) -> dict[str, Any]:
    candidate = session.problem.candidates.kept[standing.candidate]
    mark = ""
    if standing.candidate == answer.candidate:
        mark = "chosen"
    elif standing.candidate in answer.ties:
        mark = "cannot be told from it"
    return {
        "network": candidate.point.name,
        "depth": candidate.native.effective.depth,
        "width": candidate.native.effective.width,
        "resolution": candidate.native.spec.resolution,
        "ratio": candidate.native.ratio,
        "epochs": standing.epochs,
        "seeds": standing.seeds,
        "accuracy": standing.accuracy,
        "accuracy_stderr": standing.accuracy_stderr,
        "mark": mark,
    }


def answer_lines(session: Session, answer: Answer, seen: Sequence[Observation]) -> Iterator[str]:
    """The decision, in sentences, and whether the proxy can make it."""
    kept = session.problem.candidates.kept
    names = [kept[index].point.name for index in answer.ties]
    values = zip(("alpha", "beta", "gamma"), astuple(answer.coefficients), strict=True)
    listed = ", ".join(f"{name} = {value:.3f} {_interval(answer, name)}" for name, value in values)
    yield f"Chosen: {names[0]}, {listed}"
    for name, probability in answer.compound.items():
        yield f"Compound beats {name} alone with probability {probability:.2f}."
    yield from answer.notes
    yield from fidelity_lines(session, seen)


def fidelity_lines(session: Session, seen: Sequence[Observation]) -> Iterator[str]:
    """How well short trainings ranked the candidates, where enough of them ran to the end to say so."""
    found = rank_correlation(seen)
    if not found:
        yield (
            f"Too few candidates were trained for {session.space.rungs[-1]} epochs to say how well shorter "
            "trainings rank them; --strategy exhaustive would tell."
        )
        return
    for one in found:
        low, high = one.spearman_interval
        yield (
            f"Ranks after {one.epochs} of {session.space.rungs[-1]} epochs against the last: Spearman "
            f"{one.spearman:.2f} [{low:.2f}, {high:.2f}] over {one.candidates} candidates."
        )
    if sentence := warning(found):
        yield sentence


def _interval(answer: Answer, name: str) -> str:
    low, high = answer.intervals[name]
    return f"[{low:.3f}, {high:.3f}]"


def coefficients_json(session: Session, answer: Answer) -> dict[str, Any]:
    """The content of ``coefficients.json``."""
    chosen: Candidate = session.problem.candidates.kept[answer.candidate]
    recipe, proxy = session.space.recipe, session.space.proxy
    return {
        **answer.to_json(),
        "network": chosen.point.name,
        "base": session.problem.native.base.name,
        "budget": session.space.budget,
        "flops_ratio": chosen.native.ratio,
        "exponents": dict(
            zip(("depth", "width", "resolution"), astuple(session.problem.exponents), strict=True)
        ),
        "proxy": {
            "data": session.data.name,
            "resolution": proxy.resolution,
            "depth": session.problem.proxy.reduced.depth,
            "width": session.problem.proxy.reduced.width,
            "images": recipe.images or session.data.sizes["train"],
            "epochs": recipe.epochs,
            "alpha": chosen.proxy.asked.depth,
            "beta": chosen.proxy.asked.width,
            "gamma": chosen.proxy.asked.resolution,
        },
    }
