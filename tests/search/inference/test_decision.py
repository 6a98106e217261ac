"""What of a search's observations the law is told, and what the decision asks of it."""

from dataclasses import replace

import numpy as np
import pytest

from scaler.execution.protocol import Experiment
from scaler.replay.table import observations
from scaler.scaling.shares import Shares, lattice
from scaler.search.inference.decision import contrasts, ladder, octaves_of, values_of, worths
from scaler.search.inference.law import fit_law
from tests.replay.synthetic import CENTRE, CORNER, EDGE, make_table

EXPERIMENT = Experiment(tuple(lattice(2)), (1.0,) * 6, (1,), 1, 0)


def test_values_leave_out_what_diverged_and_keep_what_is_needed() -> None:
    table, _ = make_table(EDGE, 0.4, seed=0)
    table.loss[3, 1, 4:] = np.nan
    values = values_of(observations(table))
    assert 3 not in values.network
    assert {0, 5} < set(values.rung.tolist())
    assert len(values.value) <= 200
    few = [o for o in observations(table) if o.rung == 0 or o.candidate < 2]
    assert set(values_of(few).network.tolist()) == set(range(15))


def test_values_of_a_loss_are_larger_where_it_is_smaller() -> None:
    table, _ = make_table(EDGE, 0.4, seed=0)
    seen = [o for o in observations(table) if o.rung == 5]
    assert np.corrcoef(values_of(seen).value, values_of(seen, "loss").value)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("budget", "up_to", "sizes"),
    [
        (2.0, 16.0, (2, 4, 8, 16)),
        (2.0, 2.0, (2,)),
        (2.0, 15.0, (2, 4, 8)),
        (4.0, 16.0, (4, 16)),
        (3.0, 2.0, (3,)),
    ],
)
def test_the_ladder_climbs_in_budgets(budget: float, up_to: float, sizes: tuple[float, ...]) -> None:
    assert ladder(replace(EXPERIMENT, budget=budget, up_to=up_to)) == pytest.approx(sizes)


def test_a_budget_below_one_goes_down_its_ladder() -> None:
    shrink = replace(EXPERIMENT, budget=0.5)
    assert ladder(shrink) == pytest.approx((1 / 2, 1 / 4, 1 / 8, 1 / 16))
    assert ladder(replace(shrink, up_to=1 / shrink.up_to)) == ladder(shrink)
    np.testing.assert_allclose(octaves_of(shrink).sum(axis=1), -1.0)
    asked = worths(shrink)
    np.testing.assert_allclose(np.unique(asked.octaves.sum(axis=1)), [-4, -3, -2, -1])
    # A corner stays a corner: all of it on one axis, downwards.
    np.testing.assert_allclose(worths(shrink, (0.25,)).octaves[0], [-2.0, 0.0, 0.0])


def test_worths_are_means_over_the_ladder_and_contrasts_sum_to_nothing() -> None:
    asked = worths(EXPERIMENT)
    line = np.array([1.0, 2.0, 4.0])
    # Of a straight line, a worth is the slope along the direction times the mean of 1 to 4 octaves.
    shares = np.array([(s.depth, s.width, s.resolution) for s in EXPERIMENT.shares])
    np.testing.assert_allclose(asked.weights @ (asked.octaves @ line), 2.5 * shares @ line)
    np.testing.assert_allclose(contrasts(EXPERIMENT).weights.sum(axis=0), 0.0, atol=1e-12)


def test_octaves_that_are_given_are_taken() -> None:
    octaves = tuple((0.1 * i, 0.2, 0.3) for i in range(6))
    np.testing.assert_array_equal(octaves_of(replace(EXPERIMENT, octaves=octaves)), octaves)
    one = replace(EXPERIMENT, shares=(Shares(0.5, 0.5, 0.0),), budget=4.0)
    np.testing.assert_allclose(octaves_of(one), [[1.0, 1.0, 0.0]])


def test_pooling_betters_the_choice() -> None:
    raw, pooled = [], []
    for seed in range(45):
        table, mean = make_table((CENTRE, EDGE, CORNER)[seed % 3], 0.75, seeds=1, seed=seed)
        seen = [o for o in observations(table) if o.rung == 5]
        fit = fit_law(octaves_of(table.experiment), values_of(seen), table.experiment.rungs)
        raw.append(mean.max() - mean[table.accuracy[:, 0, 5].argmax()])
        pooled.append(mean.max() - mean[fit.mean(worths(table.experiment)).argmax()])
    assert np.mean(pooled) < 0.9 * np.mean(raw)


def test_short_trainings_alone_leave_more_doubt() -> None:
    table, _ = make_table(EDGE, 0.4, seed=0)
    doubt = []
    for rung in (0, 5):
        values = values_of([o for o in observations(table) if o.rung == rung])
        fit = fit_law(octaves_of(table.experiment), values, table.experiment.rungs)
        doubt.append(fit.posterior(worths(table.experiment)).best_probability().max())
    assert doubt[0] < doubt[1]
