"""Draws from a table: new seeds, and truths that are spread as widely as the table leaves them open."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from scaler.errors import UserError
from scaler.replay.simulator import Simulator, simulator_of
from scaler.replay.table import Array, Table
from tests.replay.planted import plant
from tests.replay.synthetic import CENTRE, CORNER, EDGE, make_table

TABLE, MEAN = make_table(EDGE, 0.8, seed=1)


def truths(table: Table, count: int = 200) -> Array:
    simulator = simulator_of(table)
    return np.array([simulator.draw(seed).truth for seed in range(count)])


def test_draws_are_new_seeds_of_their_truth() -> None:
    simulator = simulator_of(TABLE)
    draws = [simulator.draw(seed) for seed in range(400)]
    last = np.stack([d.table.accuracy[..., -1] - d.truth[:, None] for d in draws])
    assert last.mean() == pytest.approx(0, abs=0.001)
    # The planted deviations at the last epoch: 0.8 points in all, 30 % of the variance in common.
    assert last.std() == pytest.approx(0.008, rel=0.2)
    # The seed effect, common to all candidates, has the size that the table shows, and a little of the noise.
    shared = TABLE.accuracy[:, :, -1].mean(axis=0).var(ddof=1)
    assert shared * 0.9 < last.mean(axis=1).var() < shared * 1.25 + last.var() / 15


def test_draws_of_a_seed_are_the_same() -> None:
    simulator = simulator_of(TABLE)
    assert (simulator.draw(3).table.accuracy == simulator.draw(3).table.accuracy).all()
    assert (simulator.draw(3).truth == simulator.draw(3).truth).all()
    assert (simulator.draw(3).table.accuracy != simulator.draw(4).table.accuracy).any()


@pytest.mark.parametrize("deviation", [0.4, 0.8])
def test_planted_truths_lie_where_draws_say(deviation: float) -> None:
    inside, ours, means = [], [], []
    for seed in range(12):
        table, true = make_table((CENTRE, EDGE, CORNER)[seed % 3], deviation, seed=seed)
        drawn = truths(table)
        drawn -= drawn.mean(axis=1, keepdims=True)
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        true = true - true.mean()
        inside += list((low <= true) & (true <= high))
        observed = table.accuracy[:, :, -1].mean(axis=1)
        ours.append(((drawn.mean(axis=0) - true) ** 2).mean())
        means.append(((observed - observed.mean() - true) ** 2).mean())
    # Candidates of one table are not independent: as if a third of them were.
    assert np.mean(inside) >= stats.binom.ppf(0.001, len(inside) // 3, 0.9) / (len(inside) // 3)
    # The tables' own means are further from the truth.
    assert np.mean(ours) < np.mean(means)


def test_growth_off_the_budget_is_as_steep_as_trainings_show() -> None:
    planted, drawn = [], []
    for seed in range(8):
        world = plant("additive", seed)
        table, count = world.table, len(world.table.experiment.shares)
        accuracy = table.accuracy.copy()
        accuracy[count:, 1:] = np.nan  # networks off the budget were recorded once
        simulator = simulator_of(dataclasses.replace(table, accuracy=accuracy))
        assert simulator.off_budget is not None
        octaves = np.insert(np.array(table.experiment.octaves)[count:], 0, 1.0, axis=1)
        rng = np.random.default_rng(seed)
        curves = np.stack([simulator.off_budget.draw(rng, simulator.slopes)[0, :, -1] for _ in range(50)])
        planted.append(np.linalg.lstsq(octaves, world.latent[count:])[0][1:])
        drawn.append(100 * np.linalg.lstsq(octaves, curves.mean(axis=0))[0][1:])
    # A slope's error is about .3 of 3 points; drawn towards one mean, slopes would be a fifth smaller.
    assert np.mean(drawn) / np.mean(planted) == pytest.approx(1.0, abs=0.08)
    assert np.abs(np.subtract(drawn, planted)).mean() < 0.5


def test_candidates_that_do_not_differ_are_hardly_told_apart() -> None:
    table, _ = make_table(EDGE, 0.8, lead=1e-6, bias=0.0, seed=2)
    drawn = truths(table)
    spread = drawn.mean(axis=0).std()
    assert spread < 0.5 * table.accuracy[:, :, -1].mean(axis=1).std()


def test_early_epochs_tell_nothing_of_the_seed_effect() -> None:
    """Where nothing differs, a candidate's early mean must not foretell its truth, as it does the table's."""
    found = []
    for seed in range(6):
        table, _ = make_table(EDGE, 0.8, lead=1e-6, bias=0.0, seed=seed)
        simulator = simulator_of(table)
        for draw in (simulator.draw(replay) for replay in range(40)):
            early = draw.table.accuracy[:, :, 2].mean(axis=1)
            truth = draw.truth - draw.truth.mean()
            found.append(truth[early.argmax()])
    naive = []
    for seed in range(6):
        table, _ = make_table(EDGE, 0.8, lead=1e-6, bias=0.0, seed=seed)
        mean = table.accuracy.mean(axis=1)
        naive.append((mean[:, -1] - mean[:, -1].mean())[mean[:, 2].argmax()])
    assert np.mean(found) < 0.5 * np.mean(naive)


def test_a_table_without_noise_is_its_own_truth() -> None:
    still = dataclasses.replace(TABLE, accuracy=TABLE.accuracy.mean(axis=1, keepdims=True).repeat(4, axis=1))
    assert truths(still, 3) == pytest.approx(np.tile(still.accuracy[:, 0, -1], (3, 1)), abs=1e-5)


def test_a_loss_has_the_deviations_of_its_accuracy() -> None:
    # The synthetic loss falls by 3 nats for every unit of accuracy.
    simulator = simulator_of(TABLE)
    for seed in range(3):
        draw = simulator.draw(seed)
        moved = draw.truth - TABLE.accuracy[:, :, -1].mean(axis=1)
        assert np.polyfit(moved, _true_loss(simulator, seed) - TABLE.loss[:, :, -1].mean(axis=1), 1)[0] == (
            pytest.approx(-3, abs=0.3)
        )


def _true_loss(simulator: Simulator, seed: int) -> Array:
    """Final loss of a draw without the deviations of its trainings."""
    silent = dataclasses.replace(simulator, seed_effect=0 * simulator.seed_effect, noise=0 * simulator.noise)
    return silent.draw(seed).table.loss[:, 0, -1]


def test_what_diverges_once_always_diverges() -> None:
    broken = dataclasses.replace(TABLE, loss=TABLE.loss.copy(), accuracy=TABLE.accuracy.copy())
    broken.loss[3, 1, 2:], broken.accuracy[3, 1, 2:] = np.nan, 0.0
    draw = simulator_of(broken).draw(0)
    assert draw.truth[3] == 0 < draw.truth[2]
    assert np.isnan(draw.table.loss[3, :, 2:]).all()


def test_one_seed_shows_no_noise() -> None:
    once = dataclasses.replace(
        TABLE,
        experiment=dataclasses.replace(TABLE.experiment, max_seeds=1),
        accuracy=TABLE.accuracy[:, :1],
        loss=TABLE.loss[:, :1],
    )
    with pytest.raises(UserError, match=r"synthetic has one seed .* no noise, .* at least two: record"):
        simulator_of(once)


def test_nothing_to_choose_among() -> None:
    nothing = dataclasses.replace(TABLE, loss=np.full_like(TABLE.loss, np.nan))
    with pytest.raises(UserError, match="every candidate diverged"):
        simulator_of(nothing)
