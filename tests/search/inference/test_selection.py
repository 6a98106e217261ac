"""The decision: against textbook values, simulation, and tables whose truth is known."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation
from scaler.replay.table import Table, observations
from scaler.scaling.shares import Shares
from scaler.search.inference.comparison import best_set, compare, seeds_to_decide
from scaler.search.inference.selection import Metric, Selection, select
from tests.replay.synthetic import CENTRE, EDGE, make_table

TABLE, MEAN = make_table(EDGE, 0.4, seed=0)
LAST = len(TABLE.experiment.rungs) - 1


@pytest.fixture(scope="module")
def whole() -> Selection:
    """By everything in the table."""
    return select(TABLE.experiment, seen_of(TABLE))


def seen_of(table: Table, max_seeds: int = 4) -> list[Observation]:
    """The first and the last epoch; those between take more time than they tell."""
    return [o for o in observations(table) if o.seed_index < max_seeds and o.rung in (0, LAST)]


def test_compare_equals_a_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 7))
    comparison = compare({(c, r): float((a, b)[c][r]) for c in range(2) for r in range(7)})
    t = (comparison.means[0] - comparison.means[1]) / comparison.difference_error(0, 1)
    assert t == pytest.approx(stats.ttest_rel(a, b).statistic)
    assert comparison.freedom == 6


def test_compare_removes_the_seed_effect() -> None:
    # Candidate 1 missed the good seed; candidate 2 shows how good it was.
    values = {(0, 0): 1.0, (0, 1): 2.0, (1, 0): 1.5, (2, 0): 0.0, (2, 1): 1.0}
    comparison = compare(values)
    assert comparison.means == pytest.approx([1.5, 2.0, 0.5])
    assert comparison.variance == pytest.approx(0.0, abs=1e-20)


def test_compare_without_a_shared_seed() -> None:
    comparison = compare({(0, 0): 1.0, (0, 1): 3.0, (1, 2): 2.0, (1, 3): 5.0})
    assert comparison.means == pytest.approx([2.0, 3.5])
    assert comparison.variance == pytest.approx((2.0 + 4.5) / 2)


def test_critical_value_is_dunnetts() -> None:
    # Dunnett 1955, one-sided 5 %, three treatments and a control, 4 of each: 12 degrees of freedom, 2.29
    # (here one group is paired away: 9 degrees of freedom, 2.37 by scipy's own integration).
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(4, 4))
    comparison = compare({(c, r): noise[c, r] for c in range(4) for r in range(4)})
    error, gap = comparison.difference_error(0, 1), 0.0
    for wanted, offset in ((False, 2.9), (True, 2.1)):
        means = comparison.means.copy()
        means[:] = 0.0
        means[1] = gap + offset * error
        shifted = dataclasses.replace(comparison, means=means)
        assert (0 in best_set(shifted)) is wanted


def test_best_set_holds_the_best_among_equals() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        values = generator.normal(size=(6, 4))
        hits += 0 in best_set(compare({(c, r): values[c, r] for c in range(6) for r in range(4)}))
    # All are equally good: candidate 0 is as good as the best, the least favourable case.
    assert stats.binom.ppf(0.001, 300, 0.95) <= hits <= stats.binom.ppf(0.999, 300, 0.95)


def test_seeds_to_decide_has_the_power_it_says() -> None:
    wanted = int(seeds_to_decide(gap=0.5, variance=0.5**2))
    generator = np.random.default_rng(3)
    differences = generator.normal(0.5, math.sqrt(2) * 0.5, size=(4000, wanted))
    power = np.mean(stats.ttest_1samp(differences, 0, axis=1, alternative="greater").pvalue < 0.05)
    assert 0.77 < power < 0.87
    assert math.isinf(seeds_to_decide(0.0, 1.0))


def test_the_best_is_chosen_and_all_are_scored(whole: Selection) -> None:
    assert whole.candidate == whole.best_set[0] == int(MEAN.argmax())
    assert len(whole.scores) == len(TABLE.experiment.shares)


def test_a_score_is_the_mean_of_its_own_trainings_and_is_adjusted_beside_it() -> None:
    # Candidate 0 missed the second seed, which was good to all others.
    seen = [o for o in seen_of(TABLE, 2) if (o.candidate, o.seed_index) != (0, 1)]
    seen = [dataclasses.replace(o, accuracy=o.accuracy + 0.05 * (o.seed_index == 1)) for o in seen]
    score = next(s for s in select(TABLE.experiment, seen).scores if s.candidate == 0)
    assert score.accuracy == pytest.approx(TABLE.accuracy[0, 0, LAST])
    assert score.adjusted_accuracy == pytest.approx(score.accuracy + 0.025, abs=0.01)


def test_scores_hold_means_and_errors_over_seeds(whole: Selection) -> None:
    for score in whole.scores:
        assert score.accuracy == pytest.approx(TABLE.accuracy[score.candidate, :, LAST].mean())
        assert score.loss == pytest.approx(TABLE.loss[score.candidate, :, LAST].mean())
    pooled = math.sqrt(TABLE.accuracy[:, :, LAST].var(axis=1, ddof=1).mean() / 4)
    assert whole.scores[0].accuracy_stderr == pytest.approx(pooled)


def test_diverged_never_wins() -> None:
    best = int(MEAN.argmax())
    seen = [
        dataclasses.replace(o, accuracy=0.0, loss=math.nan, state="diverged")
        if (o.candidate, o.seed_index, o.rung) == (best, 1, LAST)
        else o
        for o in seen_of(TABLE)
    ]
    selection = select(TABLE.experiment, seen)
    assert best not in selection.best_set
    assert selection.diverged == (best,)
    everything = [dataclasses.replace(o, accuracy=0.0, loss=math.nan, state="diverged") for o in seen]
    with pytest.raises(UserError, match="every training diverged"):
        select(TABLE.experiment, everything)
    with pytest.raises(UserError, match="nothing was trained"):
        select(TABLE.experiment, [])


def test_one_seed_is_less_sure_and_says_so(whole: Selection) -> None:
    one = select(TABLE.experiment, seen_of(TABLE, 1))
    assert one.seeds_needed is not None
    assert one.seeds_needed > 1
    assert one.more_flops is not None
    assert one.more_flops > 0
    assert all(math.isnan(s.accuracy_stderr) for s in one.scores)
    assert len(one.best_set) >= len(whole.best_set)


def test_one_repeat_is_no_measure_of_scatter() -> None:
    seen = [o for o in observations(TABLE) if o.seed_index == 0 or (o.candidate, o.seed_index) == (4, 1)]
    found = select(TABLE.experiment, seen)
    assert all(math.isnan(score.accuracy_stderr) for score in found.scores)


def test_nothing_to_tell_apart() -> None:
    table, _ = make_table(CENTRE, 3.0, lead=0.05, bias=0.0, seed=5)
    selection = select(table.experiment, seen_of(table))
    assert len(selection.best_set) > 8
    assert selection.seeds_needed is None or selection.seeds_needed > 4


def test_compound_against_each_dimension() -> None:
    table, _ = make_table(CENTRE, 0.2, rough=0.0, seed=1)
    seen = [o for o in seen_of(table) if o.rung == LAST]
    beats = select(table.experiment, seen).law.beats
    assert set(beats) == {"depth", "width", "resolution"}
    assert min(by_size["2x"] for by_size in beats.values()) > 0.95
    swapped = [dataclasses.replace(o, accuracy=1 - o.accuracy) for o in seen]
    found = select(table.experiment, swapped)
    alone = table.experiment.shares[found.candidate]
    assert max(dataclasses.astuple(alone)) == 1.0
    assert set(found.law.beats) == {axis for axis, share in vars(alone).items() if share == 0.0}


def test_loss_and_accuracy_agree_where_loss_follows_accuracy(whole: Selection) -> None:
    by_loss = select(TABLE.experiment, seen_of(TABLE), "loss")
    assert by_loss.candidate == whole.candidate
    assert by_loss.scores[0].loss > 0


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_single_training(metric: Metric) -> None:
    experiment = Experiment((EDGE,), (1.0,), (2,), 1, 0)
    one = Observation(0, 0, 0, 2, 10, 2, 0.5, 1.0, 0.1)
    selection = select(experiment, [one], metric)
    assert selection.best_set == (0,)
    assert selection.law.beats == {}
    assert all(gain.low < -0.05 < 0.05 < gain.high for gain in selection.law.gains), "it tells nothing"


def test_only_a_single_dimension_among_the_candidates_is_said_to_be_beaten() -> None:
    """Without ``width-only``, half width and half resolution is the most width there is, not width alone."""
    shares = (Shares(1.0, 0.0, 0.0), Shares(0.5, 0.0, 0.5), Shares(0.0, 0.5, 0.5))
    experiment = Experiment(shares, (1.0,) * 3, (2,), 1, 0)
    accuracies = (0.5, 0.6, 0.7)
    seen = [Observation(c, 0, 0, 2, 10, 2, a, 1.0, 0.1) for c, a in enumerate(accuracies)]
    assert select(experiment, seen).law.beats.keys() == {"depth"}


def test_early_stopped_candidates_stay_open_unless_ruled_out() -> None:
    # Only two went on; the others' first epoch must not be taken for their last.
    seen = [o for o in observations(TABLE) if o.seed_index == 0 and (o.rung == 0 or o.candidate in (0, 1))]
    selection = select(TABLE.experiment, seen)
    assert len(selection.best_set) > 2
    assert sum(score.rung < LAST for score in selection.scores) == len(TABLE.experiment.shares) - 2
