"""The policies that a curve can show, by name."""

from __future__ import annotations

from dataclasses import astuple

from scaler.errors import UserError
from scaler.scaling.multipliers import Coefficients
from scaler.scaling.shares import CORNERS, PUBLISHED_SHARES, Exponents, Shares, coefficients
from scaler.search.candidates.realise import Scalable, Target, along, native_near, proxy_of
from scaler.search.result import Policy

#: Names of the chosen policy: what a search found, the published coefficients, or the user's.
COMPOUND, PUBLISHED_NAME, OWN = "compound", "published", "own"

#: Growing by one dimension alone.
SINGLE = tuple(CORNERS)

#: What the chosen policy can be compared with. ``d1_w8_r1`` is pycls' (Dollar et al. 2021, arXiv
#: 2103.06877: most of the budget to width, because activations decide the running time).
COMPARABLE: dict[str, Shares] = {
    **CORNERS,
    PUBLISHED_NAME: PUBLISHED_SHARES,
    "d1_w8_r1": Shares(0.1, 0.8, 0.1),
}


def parse_compare(text: str) -> tuple[str, ...]:
    """Read ``depth,width``; ``all`` is every policy there is, ``none`` is none.

    Raises:
        UserError: a word is no policy.
    """
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if words == ["none"]:
        return ()
    if words == ["all"]:
        return tuple(COMPARABLE)
    for word in words:
        if word not in COMPARABLE:
            raise UserError(
                f"--compare: {word!r} is no policy; choose from {', '.join(COMPARABLE)}, or write all or none"
            )
    if not words:
        raise UserError(f"--compare {text!r} names no policy; choose from {', '.join(COMPARABLE)}")
    return tuple(words)


def in_direction(
    shares: Shares, exponents: Exponents, native: Scalable, proxy: Scalable, target: Target
) -> Policy:
    """The policy that spends the budget by these shares, realised as a search realises its candidates."""
    nominal = along(coefficients(shares, target.ratio, exponents), native, target.ratio)
    first = native_near(native, nominal.multipliers, target)
    second = proxy_of(first, proxy, target)
    return Policy(
        shares, Coefficients(*astuple(first.asked)), Coefficients(*astuple(second.asked)), first.ratio
    )
