"""The posterior about candidates, against Gaussian conditioning written out another way."""

from itertools import product

import numpy as np
import pytest
from scaler.search.inference.surface import SETTINGS, Surface, Values, values_of

from scaler.execution.protocol import TrialSpec
from scaler.replay.simulator import simulator_of
from scaler.replay.table import Array, observations
from scaler.scaling.shares import lattice
from scaler.search.inference import surface
from tests.replay.synthetic import CENTRE, CORNER, EDGE, make_table

SHARES = tuple(lattice(3))


def some_values(count: int = 25, seed: int = 0) -> Values:
    generator = np.random.default_rng(seed)
    keys = generator.permutation([(c, r, k) for c in range(10) for r in range(2) for k in range(2)])[:count]
    candidate, seed_index, rung = keys.T
    return Values(candidate, seed_index, rung, generator.normal(size=len(keys)))


def by_joint_sampling(model: Surface, values: Values, draws: int = 400_000) -> tuple[Array, Array]:
    """Posterior covariance of latent values from the model's own sum of parts, by regression on samples."""
    generator = np.random.default_rng(1)
    total = len(values.value)
    prior = np.linalg.cholesky(model.latent[0] + 1e-9 * np.eye(len(model.latent[0])))
    latent = generator.normal(size=(draws, len(prior))) @ prior.T
    own = model.covariance(values, values)[0] - model.latent[0][np.ix_(values.candidate, values.candidate)]
    rest = generator.normal(size=(draws, total)) @ np.linalg.cholesky(own).T
    seen = latent[:, values.candidate] + rest
    slope: Array = np.linalg.lstsq(seen, latent, rcond=None)[0].astype(np.float64)
    return np.cov((latent - seen @ slope).T), slope


def test_the_prediction_is_the_posterior_covariance() -> None:
    model = Surface(SHARES, (1, 3), SETTINGS[[10]])
    values = some_values()
    sampled, slope = by_joint_sampling(model, values)
    posterior, weights = model.fit(values)
    centred = values.value.copy()
    for rung in (0, 1):
        centred[values.rung == rung] -= centred[values.rung == rung].mean()
    variance = (
        centred @ np.linalg.inv(model.covariance(values, values)[0]) @ centred / (len(values.value) - 2)
    )
    assert weights == pytest.approx([1.0])
    assert posterior.mean == pytest.approx(centred @ slope, abs=0.02)
    assert posterior.covariance / variance == pytest.approx(sampled, abs=0.02)
    about, _ = model.predict(values, Values(np.arange(10), np.full(10, 7), np.ones(10, int), np.zeros(10)))
    # A new training says of a latent what its own candidate's latent says, and what the rung's level does,
    # which is the same for all candidates.
    assert np.ptp(about / variance - sampled, axis=1) == pytest.approx(np.zeros(10), abs=0.04)


def test_only_differences_within_a_rung_count() -> None:
    model, values = Surface(SHARES, (1, 3)), some_values()
    lifted = Values(values.candidate, values.seed_index, values.rung, values.value + 100.0 * values.rung)
    assert model.fit(lifted)[0].mean == pytest.approx(model.fit(values)[0].mean, abs=1e-6)


def test_units_do_not_matter() -> None:
    model, values = Surface(SHARES, (1, 3)), some_values()
    scaled = Values(values.candidate, values.seed_index, values.rung, 100 * values.value)
    one, other = model.fit(values)[0], model.fit(scaled)[0]
    assert other.mean == pytest.approx(100 * one.mean)
    assert other.covariance == pytest.approx(10_000 * one.covariance)


def test_pooling_betters_the_choice() -> None:
    raw, pooled = [], []
    for position, seed in product((CENTRE, EDGE, CORNER), range(40)):
        table, mean = make_table(position, 1.5, seed=seed)
        seen = [o for o in observations(table) if o.rung == 5]
        posterior, _ = surface.surface_of(table.experiment).fit(values_of(seen))
        raw.append(mean.max() - mean[table.accuracy[:, :, 5].mean(axis=1).argmax()])
        pooled.append(mean.max() - mean[posterior.mean.argmax()])
    assert np.mean(pooled) < 0.9 * np.mean(raw)


def test_short_trainings_alone_leave_more_doubt() -> None:
    table, _ = make_table(EDGE, 0.4, seed=0)
    model = surface.surface_of(table.experiment)
    short = values_of([o for o in observations(table) if o.rung == 0])
    full = values_of([o for o in observations(table) if o.rung == 5])
    doubt = [np.sort(model.fit(v)[0].best_probability(np.ones(15, bool)))[-1] for v in (short, full)]
    assert doubt[0] < doubt[1]


def test_values_leave_out_what_diverged_and_keep_what_is_needed() -> None:
    table, _ = make_table(EDGE, 0.4, seed=0)
    table.loss[3, 1, 4:] = np.nan
    values = values_of(observations(table))
    assert 3 not in values.candidate
    assert set(values.rung) == {0, 1, 5}
    few = [o for o in observations(table) if o.rung == 0 or o.candidate < 2]
    assert set(values_of(few).candidate) == set(range(15))


def test_the_order_of_what_was_seen_does_not_matter() -> None:
    table, _ = make_table(EDGE, 0.4, seed=0)
    seen = observations(table)
    model = surface.surface_of(table.experiment)
    first, second = model.fit(values_of(seen))[0], model.fit(values_of(seen[::-1]))[0]
    assert (first.mean == second.mean).all()


@pytest.mark.parametrize("deviation", [0.4, 0.8, 1.5])
def test_the_noise_is_known_without_repeated_seeds(deviation: float) -> None:
    table, _ = make_table(EDGE, deviation, seed=3)
    simulator, found = simulator_of(table), []
    for draw in range(20):
        drawn = simulator.draw(draw).table
        seen = [o for c in range(15) for o in drawn.observe(TrialSpec(c, 0, 5))]
        posterior, _ = surface.surface_of(drawn.experiment).fit(values_of(seen))
        found.append(100 * posterior.noise**0.5)
    # A tenth of the variance is the seed's, which all candidates share.
    assert 0.7 < np.median(found) / (deviation * 0.95) < 1.4


@pytest.mark.parametrize("reverse", [False, True])
def test_early_epochs_count_for_what_full_trainings_showed_of_them(reverse: bool) -> None:
    """Candidates seen only at the first epoch are ranked by it, or against it, as the others suggest."""
    keys = np.array([(c, rung) for c in range(10) for rung in (0, 1)] + [(c, 0) for c in range(10, 15)])
    model, agreement = Surface(tuple(lattice(4)), (1, 6)), []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        latent = generator.normal(size=15)
        early = -latent if reverse else latent
        value = np.where(keys[:, 1] == 0, early[keys[:, 0]], latent[keys[:, 0]])
        value = value + 0.2 * generator.normal(size=len(value))
        posterior, _ = model.fit(Values(keys[:, 0], np.zeros(len(keys), int), keys[:, 1], value))
        agreement.append(np.corrcoef(posterior.mean[10:], latent[10:])[0, 1])
    assert np.mean(agreement) > 0.5
