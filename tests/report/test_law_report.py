"""What a search's law says in sentences, for clear and for unclear answers."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from scaler.report.answers.law import law_lines
from scaler.report.answers.search import result_lines
from scaler.scaling.shares import Shares
from scaler.search.inference.law_summary import AXES, Gain, LawSummary, Waypoint
from scaler.search.result import SearchResult
from tests.search.answers import a_law, an_answer

ANSWER = TypeAdapter(SearchResult).validate_python(an_answer(("width-only", "depth-only")))


def said(law: LawSummary) -> str:
    return "\n".join(law_lines(replace(ANSWER, law=law)))


def base_gains(*intervals: tuple[float, float, float]) -> tuple[Gain, ...]:
    return tuple(Gain(axis, 1.0, *points) for axis, points in zip(AXES, intervals, strict=True))


def waypoint(size: float, better: float, **known: Any) -> Waypoint:
    clear = Waypoint(size, Shares(0.1, 0.6, 0.3), (0.0, 0.5, 0.2), (0.2, 0.7, 0.4), better)
    return replace(clear, **known)


def test_gains_are_points_with_their_intervals() -> None:
    text = said(a_law(gains=base_gains((0.021, 0.004, 0.038), (0.05, 0.04, 0.06), (-0.0149, -0.03, 0.001))))
    assert "depth +2.1 [+0.4, +3.8], width +5.0 [+4.0, +6.0], resolution -1.5 [-3.0, +0.1] points" in text
    assert "along the chosen direction" not in text


def test_gains_further_up_stand_beside_those_at_the_base() -> None:
    gains = base_gains(*[(0.03, 0.01, 0.05)] * 3)
    further = tuple(replace(g, size=16.0, mean=0.01) for g in gains)
    middle = tuple(replace(g, size=4.0, mean=0.02) for g in gains)
    text = said(a_law(gains=(*gains, *middle, *further)))
    assert "At 16x along the chosen direction: depth +1.0" in text
    assert "At 4x" not in text


def test_sizes_of_an_absolute_budget_have_three_digits() -> None:
    gains = base_gains(*[(0.03, 0.01, 0.05)] * 3)
    further = tuple(replace(g, size=14.61824) for g in gains)
    beats = {"depth": {"1.95535x": 0.9, "3.82339x": 0.8, "1024x": 0.7}}
    path = (waypoint(1.95535, 0.0), waypoint(14.61824, 0.01))
    law = a_law(gains=(*gains, *further), path=path, beats=beats)
    text = said(law)
    assert "At 14.6x along the chosen direction" in text
    assert "Best shares at 1.96x: depth 0.10" in text
    assert "at 14.6x the law's own path is worth 1.0 points more" in text
    answer = "\n".join(result_lines(replace(ANSWER, law=law), []))
    assert "It beats depth alone with probability 0.90 at 1.96x, 0.80 at 3.82x, 0.70 at 1024x." in answer


def test_axes_that_surely_help_are_named() -> None:
    both = a_law(gains=base_gains((0.03, 0.01, 0.05), (0.04, 0.02, 0.06), (0.0, -0.02, 0.02)), networks=13)
    assert "From the base, depth and width surely help, by 13 networks." in said(both)
    one = a_law(gains=base_gains((0.03, -0.01, 0.05), (0.04, 0.02, 0.06), (0.0, -0.02, 0.02)))
    assert "From the base, width surely helps, by" in said(one)
    every = a_law(gains=base_gains(*[(0.03, 0.01, 0.05)] * 3))
    assert "depth, width and resolution surely help," in said(every)


def test_nothing_that_can_be_told_is_said_so() -> None:
    assert "From the base, no axis surely helps, by 5 networks." in said(a_law())


def test_an_axis_that_costs_accuracy_is_named() -> None:
    law = a_law(gains=base_gains((-0.03, -0.05, -0.01), (0.04, 0.02, 0.06), (0.0, -0.02, 0.02)))
    assert "width surely helps; depth surely costs accuracy" in said(law)


def test_the_best_shares_at_the_first_and_the_last_size() -> None:
    text = said(a_law(path=(waypoint(2, 0.0), waypoint(4, 0.0), waypoint(16, 0.0))))
    assert "Best shares at 2x: depth 0.10 [0.00, 0.20], width 0.60 [0.50, 0.70], resolution 0.30" in text
    assert "Best shares at 16x" in text
    assert "Best shares at 4x" not in text
    assert "bends" not in text


def test_a_direction_that_bends_is_worth_saying_above_half_a_point() -> None:
    assert "bends: at 16x the law's own path is worth 1.2 points more" in said(
        a_law(path=(waypoint(2, 0.0), waypoint(16, 0.012)))
    )
    assert "bends" not in said(a_law(path=(waypoint(2, 0.02), waypoint(16, 0.004))))


def test_the_noise_and_what_of_it_is_sampling() -> None:
    assert "scatters by 1.0 points from seed to seed." in said(a_law())
    text = said(a_law(deviation=0.0203, sampling=0.0081))
    assert "scatters by 2.0 points from seed to seed, of which 0.8 are the sampling of validation" in text
    luck = said(a_law(deviation=0.004, sampling=0.022))
    assert "from seed to seed: no more than the sampling of validation images alone (2.2)." in luck


def test_lack_of_fit_is_told_before_doubt() -> None:
    test = said(a_law(lack_of_fit=0.012, additive=0.02, own=0.27))
    assert "Lack of fit: by repeated seeds a sum over axes is not all (p = 0.012)" in test
    assert "27% of what networks differ by are their own parts" in test
    doubt = said(a_law(lack_of_fit=0.4, additive=0.02))
    assert "probably not all (probability that it is: 0.02)" in doubt
    fine = said(a_law(lack_of_fit=0.4, additive=0.6))
    assert "Nothing speaks against a sum over axes." in fine
    lumpy = said(a_law(additive=0.6, own=0.35))
    assert "35% of what networks differ by" in lumpy
    assert "Nothing speaks" not in lumpy


def test_how_gains_move_with_training() -> None:
    gains = base_gains((0.01, 0.0, 0.02), (0.04, 0.02, 0.06), (0.03, 0.0, 0.05))
    early = base_gains((-0.02, -0.04, 0.0), (0.05, 0.02, 0.06), (0.03, 0.0, 0.05))
    epochs = ANSWER.space.rungs[-1]
    text = said(a_law(gains=gains, early=early, early_epochs=1))
    assert f"From 1 to {epochs} epochs the gains moved: depth -2.0 to +1.0, width +5.0 to +4.0" in text
    assert "longer trainings may move them further" in text
    assert "epochs the gains moved" not in said(a_law())
