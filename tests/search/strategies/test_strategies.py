"""Strategies against searches played by hand and by brute force."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation, State, Strategy, TrialSpec
from scaler.scaling.shares import Shares
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.strategies.halving import Halving
from scaler.search.strategies.registry import STRATEGIES, parse_strategy, strategy


def experiment(candidates: int, rungs: tuple[int, ...] = (1, 2, 4), max_seeds: int = 3) -> Experiment:
    shares = tuple(Shares(1.0, 0.0, 0.0) for _ in range(candidates))
    return Experiment(shares, (1.0,) * candidates, rungs, max_seeds, 0)


def observation(trial: TrialSpec, accuracy: float, state: State = "complete") -> Observation:
    return Observation(trial.candidate, trial.seed_index, trial.rung, 1, 1, 1, accuracy, 1.0, 1.0, state)


def play(
    chosen: Strategy,
    field: Experiment,
    accuracy: Callable[[TrialSpec], float],
    shuffle: random.Random | None = None,
) -> list[list[TrialSpec]]:
    """All batches of a search in which a training reports every rung that it passes."""
    seen: dict[TrialSpec, Observation] = {}
    batches: list[list[TrialSpec]] = []
    while True:
        told = list(seen.values())
        if shuffle is not None:
            shuffle.shuffle(told)
        batch = chosen.ask(field, told)
        if not batch:
            return batches
        batches.append(batch)
        for trial in batch:
            for rung in range(trial.rung + 1):
                passed = TrialSpec(trial.candidate, trial.seed_index, rung)
                seen[passed] = observation(passed, accuracy(passed))


def test_exhaustive_trains_everything_to_the_end_at_once() -> None:
    batches = play(Exhaustive(), experiment(4), lambda trial: 0.5)
    assert batches == [[TrialSpec(c, r, 2) for c in range(4) for r in range(3)]]


def test_halving_by_hand() -> None:
    # Candidate 3 leads at rung 0 and falls back at rung 1; 0 and 8 are equal, and 0 has the smaller id.
    first = [0.5, 0.1, 0.2, 0.9, 0.3, 0.6, 0.4, 0.8, 0.5]
    second = {3: 0.1, 7: 0.7, 5: 0.8}

    def accuracy(trial: TrialSpec) -> float:
        return first[trial.candidate] if trial.rung == 0 else second.get(trial.candidate, 0.0)

    assert play(Halving(least=1), experiment(9), accuracy) == [
        [TrialSpec(c, 0, 0) for c in range(9)],
        [TrialSpec(3, 0, 1), TrialSpec(5, 0, 1), TrialSpec(7, 0, 1)],
        [TrialSpec(5, r, 2) for r in range(3)],
    ]
    batches = play(Halving(keep=5 / 9, least=1), experiment(9, rungs=(1, 2)), accuracy)
    assert {trial.candidate for trial in batches[1]} == {3, 7, 5, 0, 8}
    batches = play(Halving(keep=4 / 9, least=1), experiment(9, rungs=(1, 2)), accuracy)
    assert {trial.candidate for trial in batches[1]} == {3, 7, 5, 0}


def test_halving_with_one_rung_is_exhaustive() -> None:
    field = experiment(5, rungs=(3,))
    assert play(Halving(), field, lambda trial: 0.5) == play(Exhaustive(), field, lambda trial: 0.5)


def test_diverged_trainings_rank_last() -> None:
    field = experiment(4, rungs=(1, 2), max_seeds=1)
    seen = [observation(TrialSpec(c, 0, 0), 0.1) for c in (1, 3)]
    seen += [observation(TrialSpec(c, 0, 0), 0.9, "diverged") for c in (0, 2)]
    assert Halving(keep=0.5, least=1).ask(field, seen) == [TrialSpec(1, 0, 1), TrialSpec(3, 0, 1)]


@settings(max_examples=40, deadline=None)
@given(
    candidates=st.integers(1, 30),
    keep=st.floats(0.05, 1.0),
    least=st.integers(1, 4),
    rungs=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)
def test_halving_by_brute_force(candidates: int, keep: float, least: int, rungs: int, seed: int) -> None:
    """A field is as large as asked, and nobody outside it was better than anybody in it."""
    draw = random.Random(seed)
    table = {(c, rung): draw.randrange(6) / 6 for c in range(candidates) for rung in range(rungs)}
    field = experiment(candidates, tuple(range(1, rungs + 1)), 2)
    batches = play(Halving(keep, least), field, lambda trial: table[trial.candidate, trial.rung], draw)
    assert len(batches) == rungs
    assert {t.seed_index for t in batches[-1]} == {0, 1}
    size = candidates
    for rung, batch in enumerate(batches):
        inside = {trial.candidate for trial in batch}
        assert {trial.rung for trial in batch} == {rung}
        assert len(inside) == size
        if rung:
            before = {trial.candidate for trial in batches[rung - 1]}
            assert inside <= before
            for out in before - inside:
                assert all((-table[c, rung - 1], c) < (-table[out, rung - 1], out) for c in inside)
        size = min(size, max(least, math.ceil(size * keep - 1e-9)))


@pytest.mark.parametrize("name", ["exhaustive", "halving"])
def test_of_a_batch_seen_in_part_the_rest_is_asked_for(name: str) -> None:
    field, chosen = experiment(6), strategy(name)
    whole = chosen.ask(field, [])
    seen = [
        observation(TrialSpec(t.candidate, t.seed_index, rung), 0.5)
        for t in whole[:2]
        for rung in range(t.rung + 1)
    ]
    assert chosen.ask(field, seen) == whole[2:]


def test_strategies_are_named_as_they_are_called() -> None:
    assert all(strategy(name).name == name for name in STRATEGIES)


def test_wrong_names_and_options() -> None:
    assert strategy("halving", keep=0.5) == Halving(keep=0.5)
    with pytest.raises(UserError, match=r"unknown strategy 'havling'; did you mean halving"):
        strategy("havling")
    with pytest.raises(UserError, match="exhaustive has no option keep"):
        strategy("exhaustive", keep=0.5)
    with pytest.raises(UserError, match="keep must be above 0"):
        strategy("halving", keep=0)
    with pytest.raises(UserError, match="least must be at least 1"):
        strategy("halving", least=0)


def test_a_part_is_refused_where_a_strategy_has_none() -> None:
    assert parse_strategy("racing@0.2") == strategy("racing", budget_fraction=0.2)
    with pytest.raises(UserError, match=r"^halving decides itself what .*: write halving without @0\.5$"):
        parse_strategy("halving@0.5")
