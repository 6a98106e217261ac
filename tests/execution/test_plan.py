from collections.abc import Sequence

import pytest

from scaler.execution.plan import (
    BESIDE_STEPS,
    END_SECONDS,
    START_SECONDS,
    Batch,
    Course,
    plan_of,
    seconds,
    simulated_plan,
    work,
)
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.scaling.shares import Shares
from scaler.search.strategies.registry import parse_strategy

FLOPS = 1e9


def experiment(candidates: int = 9, seeds: int = 3) -> Experiment:
    shares = tuple(Shares(1 / 3, 1 / 3, 1 / 3) for _ in range(candidates))
    return Experiment(shares, tuple(FLOPS for _ in shares), (1, 2, 4), seeds, 0)


def test_exhaustive_plan_in_closed_form() -> None:
    plan = simulated_plan(parse_strategy("exhaustive"), experiment(), images=100)
    assert (plan.trainings, plan.images) == (27, 27 * 4 * 100)
    assert plan.train_flops == pytest.approx(27 * 4 * FLOPS)
    assert plan.by_rung == (27, 27, 27)


def test_halving_plan_by_hand() -> None:
    # 9 to one epoch, 3 to two, those 3 with all seeds to four: 9 + 3 + 3 * (2 + 4 + 4) epochs.
    plan = simulated_plan(parse_strategy("halving"), experiment(), images=100)
    assert plan.train_flops == pytest.approx((9 + 3 + 3 * 10) * FLOPS)
    assert plan.by_rung == (15, 9, 9)


def test_a_budget_fraction_is_kept() -> None:
    plan = simulated_plan(parse_strategy("racing@0.3"), experiment(), images=100)
    assert plan.train_flops <= 0.3 * 27 * 4 * FLOPS


def test_work_counts_each_training_once() -> None:
    rows = [Observation(0, 0, rung, e, 10 * e, 7 * e, 0.5, 1.0, 0.0) for rung, e in enumerate((1, 2, 4))]
    plan = plan_of(experiment(), rows)
    assert (plan.trainings, plan.images, plan.train_flops) == (1, 40, 4 * FLOPS)
    assert plan.by_rung == (1, 1, 1)


def trained(batches: Sequence[Batch], workers: int, cores: int = 64) -> float:
    """Seconds of training alone, at one FLOP a second."""
    start = START_SECONDS if workers > 1 else 0
    return (seconds(batches, 1.0, workers, cores) - END_SECONDS - start) / BESIDE_STEPS


def test_wall_time_by_hand() -> None:
    batches = [[4.0, 2.0, 3.0], [5.0]]
    assert trained(batches, 1) == pytest.approx(14)
    assert trained(batches, 2) == pytest.approx(5 + 5)  # 4 | 3 + 2; then one waits
    assert trained(batches, 512) == pytest.approx(4 + 5)
    assert trained(batches, 512, cores=2) == pytest.approx(trained(batches, 2))


def test_evaluations_are_work_and_what_was_trained_before_is_not() -> None:
    rungs = Experiment((Shares(1, 0, 0),), (FLOPS,), (1, 2, 4), 1, 0)
    course = Course(
        (), ((TrialSpec(0, 0, 0),), (TrialSpec(0, 0, 2), TrialSpec(0, 0, 1)), (TrialSpec(0, 0, 1),))
    )
    # An evaluation on 150 images costs as much as training on 50: half an epoch.
    found = work(rungs, course, images=100, judged=150)
    assert [list(batch) for batch in found] == [[1.5 * FLOPS], [(3 + 2 * 0.5) * FLOPS], []]


@pytest.mark.parametrize("text", ["halving@0.2", "racing@much", "guess", "racing@"])
def test_strategies_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="strategy"):
        parse_strategy(text)
