"""What the law of a search says of growth, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple

from scaler.scaling.budget import format_factor
from scaler.search.inference.law_settings import ADDITIVE
from scaler.search.inference.law_summary import AXES, Gain, LawSummary, Waypoint
from scaler.search.result import SearchResult

#: An F test below this says that the additive law does not hold exactly.
SIGNIFICANT = 0.05
#: A path that gains less than this over the chosen direction is no reason to bend (accuracy).
WORTH_BENDING = 0.005


def law_lines(result: SearchResult) -> Iterator[str]:
    """What a doubling of FLOPs buys, where FLOPs should go up to the largest size, and what supports it."""
    law = result.law
    sizes = list(dict.fromkeys(gain.size for gain in law.gains))
    yield f"A doubling of FLOPs buys at the base: {_gains(law.gains, sizes[0])} points (90 % intervals)."
    if len(sizes) > 1:
        largest = format_factor(sizes[-1])
        yield f"At {largest} along the chosen direction: {_gains(law.gains, sizes[-1])} points."
    yield _told(law)
    yield from _path(law.path)
    yield _noise(law)
    yield from _form(law)
    yield from _drift(result)


def _gains(gains: Sequence[Gain], size: float) -> str:
    return ", ".join(
        f"{gain.axis} {100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
        for gain in gains
        if gain.size == size
    )


def _told(law: LawSummary) -> str:
    """Which axes surely help at the base, or that none can be told to."""
    base = [gain for gain in law.gains if gain.size == law.gains[0].size]
    sure = [gain.axis for gain in base if gain.low > 0]
    harmful = [gain.axis for gain in base if gain.high < 0]
    told = f"{_and(sure)} surely help{_s(sure)}" if sure else "no axis surely helps"
    if harmful:
        told += f"; {_and(harmful)} surely cost{_s(harmful)} accuracy"
    return f"From the base, {told}, by {law.networks} networks."


def _and(axes: Sequence[str]) -> str:
    return ", ".join(axes[:-1]) + " and " * (len(axes) > 1) + axes[-1]


def _s(axes: Sequence[str]) -> str:
    return "s" if len(axes) == 1 else ""


def _path(path: Sequence[Waypoint]) -> Iterator[str]:
    """The best way at every size, and whether it bends."""
    for waypoint in (path[0], path[-1]) if len(path) > 1 else path:
        parts = zip(AXES, astuple(waypoint.shares), waypoint.low, waypoint.high, strict=True)
        listed = ", ".join(f"{axis} {share:.2f} [{low:.2f}, {high:.2f}]" for axis, share, low, high in parts)
        yield f"Best shares at {format_factor(waypoint.size)}: {listed}."
    better = path[-1].better
    if better > WORTH_BENDING:
        yield (
            f"The best direction bends: at {format_factor(path[-1].size)} the law's own path is worth "
            f"{100 * better:.1f} points more than the chosen coefficients raised to that size."
        )


def _noise(law: LawSummary) -> str:
    if law.networks < 2:
        return "One training tells neither what grows accuracy nor how much trainings scatter: train more."
    sentence = f"A training scatters by {100 * law.deviation:.1f} points from seed to seed"
    if law.sampling is not None and law.sampling >= law.deviation:
        sentence += f": no more than the sampling of validation images alone ({100 * law.sampling:.1f})"
    elif law.sampling is not None:
        sentence += f", of which {100 * law.sampling:.1f} are the sampling of validation images"
    return f"{sentence}."


def _form(law: LawSummary) -> Iterator[str]:
    """Whether an additive law is enough."""
    own = "are their own parts (rounding, odd sizes of small maps)"
    lumps = f"{law.own:.0%} of what networks differ by {own}"
    if law.lack_of_fit is not None and law.lack_of_fit < SIGNIFICANT:
        p = f"p = {law.lack_of_fit:.3f}"
        yield f"Lack of fit: by repeated seeds a sum over axes is not all ({p}); {lumps}."
    elif law.additive < ADDITIVE / 2:
        yield f"A sum over axes is probably not all (probability that it is: {law.additive:.2f}); {lumps}."
    else:
        yield (
            f"{lumps[0].upper()}{lumps[1:]}." if law.own >= 0.1 else "Nothing speaks against a sum over axes."
        )


def _drift(result: SearchResult) -> Iterator[str]:
    """How the gains move with the length of training: short trainings favour what learns fast."""
    law, epochs = result.law, result.space.rungs[-1]
    if not law.early:
        return
    last = {gain.axis: gain for gain in law.gains if gain.size == law.gains[0].size}
    moved = ", ".join(
        f"{early.axis} {100 * early.mean:+.1f} to {100 * last[early.axis].mean:+.1f}" for early in law.early
    )
    yield (
        f"From {law.early_epochs} to {epochs} epochs the gains moved: {moved}; longer trainings may move "
        "them further."
    )
