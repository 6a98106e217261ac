"""The decision: against textbook values, simulation, and worlds whose truth is known."""

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats
from synthetic import CENTRE, EDGE, make_table

from scaler.errors import UserError
from scaler.scaling.shares import coefficients
from scaler.search.comparison import best_set, compare, seeds_to_decide
from scaler.search.selection import select
from scaler.search.table import observations
from scaler.search.types import Contest, Observation

TABLE, MEAN = make_table(EDGE, 0.4, seed=0)
POLICIES = [coefficients(share, 2.0) for share in TABLE.contest.shares]
LAST = len(TABLE.contest.rungs) - 1


def seen_of(table, repetitions=4):
    return [o for o in observations(table) if o.repetition < repetitions]


def test_compare_equals_a_paired_t_test():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 7))
    comparison = compare({(c, r): float((a, b)[c][r]) for c in range(2) for r in range(7)})
    t = (comparison.means[0] - comparison.means[1]) / comparison.difference_error(0, 1)
    assert t == pytest.approx(stats.ttest_rel(a, b).statistic)
    assert comparison.freedom == 6


def test_compare_removes_what_a_repetition_does_to_all():
    # Candidate 1 missed the good repetition; candidate 2 shows how good it was.
    values = {(0, 0): 1.0, (0, 1): 2.0, (1, 0): 1.5, (2, 0): 0.0, (2, 1): 1.0}
    comparison = compare(values)
    assert comparison.means == pytest.approx([1.5, 2.0, 0.5])
    assert comparison.variance == pytest.approx(0.0, abs=1e-20)


def test_compare_without_a_shared_repetition():
    comparison = compare({(0, 0): 1.0, (0, 1): 3.0, (1, 2): 2.0, (1, 3): 5.0})
    assert comparison.means == pytest.approx([2.0, 3.5])
    assert comparison.variance == pytest.approx((2.0 + 4.5) / 2)


def test_critical_value_is_dunnetts():
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


def test_best_set_holds_the_best_among_equals():
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        values = generator.normal(size=(6, 4))
        hits += 0 in best_set(compare({(c, r): values[c, r] for c in range(6) for r in range(4)}))
    # All are equally good: candidate 0 is as good as the best, the least favourable case.
    assert stats.binom.ppf(0.001, 300, 0.95) <= hits <= stats.binom.ppf(0.999, 300, 0.95)


def test_seeds_to_decide_has_the_power_it_says():
    wanted = int(seeds_to_decide(gap=0.5, variance=0.5**2))
    generator = np.random.default_rng(3)
    differences = generator.normal(0.5, math.sqrt(2) * 0.5, size=(4000, wanted))
    power = np.mean(stats.ttest_1samp(differences, 0, axis=1, alternative="greater").pvalue < 0.05)
    assert 0.77 < power < 0.87
    assert math.isinf(seeds_to_decide(0.0, 1.0))


def test_the_answer_is_plain_data():
    answer = select(TABLE.contest, POLICIES, seen_of(TABLE))
    data = json.loads(json.dumps(answer.to_json(), allow_nan=False))
    assert data["alpha"] == POLICIES[answer.candidate].alpha
    assert data["ties"][0] == answer.candidate
    low, high = data["intervals"]["share_width"]
    assert low <= answer.shares.width <= high
    assert answer.candidate == int(MEAN.argmax())
    assert len(answer.standings) == len(POLICIES)


def test_standings_hold_means_and_errors_over_seeds():
    answer = select(TABLE.contest, POLICIES, seen_of(TABLE))
    for standing in answer.standings:
        assert standing.accuracy == pytest.approx(TABLE.accuracy[standing.candidate, :, LAST].mean())
        assert standing.loss == pytest.approx(TABLE.loss[standing.candidate, :, LAST].mean())
    pooled = math.sqrt(TABLE.accuracy[:, :, LAST].var(axis=1, ddof=1).mean() / 4)
    assert answer.standings[0].accuracy_stderr == pytest.approx(pooled)


def test_diverged_never_wins():
    best = int(MEAN.argmax())
    seen = [
        dataclasses.replace(o, accuracy=0.0, loss=math.nan, state="diverged")
        if (o.candidate, o.repetition, o.rung) == (best, 1, LAST)
        else o
        for o in seen_of(TABLE)
    ]
    answer = select(TABLE.contest, POLICIES, seen)
    assert best not in answer.ties
    assert any("diverged" in note for note in answer.notes)
    everything = [dataclasses.replace(o, accuracy=0.0, loss=math.nan, state="diverged") for o in seen]
    with pytest.raises(UserError, match="every training diverged"):
        select(TABLE.contest, POLICIES, everything)
    with pytest.raises(UserError, match="nothing was trained"):
        select(TABLE.contest, POLICIES, [])


def test_one_seed_is_less_sure_and_says_so():
    one = select(TABLE.contest, POLICIES, seen_of(TABLE, 1))
    assert any("No seed was repeated" in note for note in one.notes)
    assert one.seeds_needed > 1
    assert one.more_flops > 0
    assert all(math.isnan(s.accuracy_stderr) for s in one.standings)
    assert len(one.ties) >= len(select(TABLE.contest, POLICIES, seen_of(TABLE)).ties)


def test_one_repeat_is_no_measure_of_scatter():
    seen = [o for o in observations(TABLE) if o.repetition == 0 or (o.candidate, o.repetition) == (4, 1)]
    found = select(TABLE.contest, POLICIES, seen)
    assert any("Too few seeds were repeated" in note for note in found.notes)
    assert all(math.isnan(standing.accuracy_stderr) for standing in found.standings)


def test_nothing_to_tell_apart():
    table, _ = make_table(CENTRE, 3.0, lead=0.05, bias=0.0, seed=5)
    answer = select(table.contest, POLICIES, seen_of(table))
    assert not answer.decided
    assert len(answer.ties) > 8
    assert answer.seeds_needed is None or answer.seeds_needed > 4
    assert any("cannot be told" in note or "can be told" in note for note in answer.notes)


def test_compound_against_each_dimension():
    table, _ = make_table(CENTRE, 0.2, rough=0.0, seed=1)
    answer = select(table.contest, POLICIES, seen_of(table))
    assert set(answer.compound) == {"depth", "width", "resolution"}
    assert min(answer.compound.values()) > 0.95
    swapped = dataclasses.replace(table, accuracy=1 - table.accuracy)
    assert max(select(table.contest, POLICIES, seen_of(swapped)).compound.values()) < 0.05


def test_loss_and_accuracy_agree_where_loss_follows_accuracy():
    by_loss = select(TABLE.contest, POLICIES, seen_of(TABLE), "loss")
    assert by_loss.candidate == select(TABLE.contest, POLICIES, seen_of(TABLE)).candidate
    assert by_loss.standings[0].loss > 0


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_single_training(metric):
    contest = Contest((EDGE,), (1.0,), (2,), 1, 0)
    one = Observation(0, 0, 0, 2, 10, 2, 0.5, 1.0, 0.1)
    answer = select(contest, [coefficients(EDGE, 2.0)], [one], metric)
    assert answer.decided
    assert answer.compound == {}
    json.dumps(answer.to_json(), allow_nan=False)


def test_early_stopped_candidates_stay_open_unless_ruled_out():
    # Only two went on; the others' first epoch must not be taken for their last.
    seen = [o for o in observations(TABLE) if o.repetition == 0 and (o.rung == 0 or o.candidate in (0, 1))]
    answer = select(TABLE.contest, POLICIES, seen)
    assert len(answer.ties) > 2
    assert any("stopped before epoch 6" in note for note in answer.notes)
