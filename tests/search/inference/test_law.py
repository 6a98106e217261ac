"""The law against closed forms and brute force, and its answers against planted truths."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from scaler.search.inference.lack_of_fit import lack_of_fit
from scaler.search.inference.law import (
    LENGTH,
    LEVEL,
    OWN_BIAS,
    SEED_EFFECT,
    Law,
    best_directions,
    fit_law,
)
from scaler.search.inference.law_settings import ADDITIVE, Settings, spread_settings
from scaler.search.inference.questions import Array, Indices, gains, latent_values, raised, returns
from scaler.search.inference.values import Values, as_seen

OCTAVES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.2, 0.3, 0.6], [-0.5, 1.0, 0.4]], dtype=float)
ORIGIN = np.zeros((1, 3))


def values(network: object, seed_index: object, value: object, rung: object = None) -> Values:
    whole = np.asarray(network, dtype=np.int64)
    at = np.zeros(len(whole), dtype=np.int64) if rung is None else np.asarray(rung, dtype=np.int64)
    return Values(whole, np.asarray(seed_index, dtype=np.int64), at, np.asarray(value, dtype=float))


def single(setting: int = 7, **changes: float) -> Settings:
    settings = spread_settings().some(np.array([setting]))
    return replace(settings, **{name: np.array([value]) for name, value in changes.items()})


def repeated(octaves: Array, latent: Array, seeds: int, deviation: float, seed: int = 0) -> Values:
    """Every network with every seed; noise and seed effect of the same size."""
    rng = np.random.default_rng(seed)
    network, seed_index = np.repeat(np.arange(len(octaves)), seeds), np.tile(np.arange(seeds), len(octaves))
    noise = rng.standard_normal(len(network)) + rng.standard_normal(seeds)[seed_index]
    return values(network, seed_index, latent[network] + deviation * noise)


def box(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1.5, (count, 3))


def test_returns_are_a_power_law_written_for_its_slope_at_the_base() -> None:
    x, a = np.linspace(-1, 4, 11), np.array(0.4)
    error = (2**x) ** -0.4
    np.testing.assert_allclose(returns(x, a), (1 - error) / (0.4 * np.log(2)))
    np.testing.assert_allclose(returns(x, np.array(1e-9)), x, rtol=1e-6)
    assert (returns(np.array(1e-6), a) - returns(np.array(-1e-6), a)) / 2e-6 == pytest.approx(1.0, rel=1e-6)


def scalar_latent(s: Settings, i: int, j: int) -> float:
    """Covariance of two latent values by the definition, one term after the other."""
    h = [returns(OCTAVES[n], s.exponents[0]) for n in (i, j)]
    law = (
        sum(h[0][k] * h[1][m] * (1.0 if k == m else s.alike[0]) for k in range(3) for m in range(3))
        * s.slope[0] ** 2
    )
    apart = ((OCTAVES[i] - OCTAVES[j]) ** 2).sum()
    smooth = s.discrepancy[0] ** 2 * np.exp(-apart / (2 * LENGTH**2))
    alike = sum(OCTAVES[i][k] == OCTAVES[j][k] for k in range(3))
    return float(law + smooth + ((i == j) + alike) / 4 * s.own[0] ** 2)


def scalar_covariance(s: Settings, v: Values, n: int, m: int, way: Array) -> float:
    i, j, k, o = v.network[n], v.network[m], v.rung[n], v.rung[m]
    latent = scalar_latent(s, i, j) * np.cos(s.turn[0] * way[k]) * np.cos(s.turn[0] * way[o])
    h = [s.slope[0] * returns(OCTAVES[x], s.exponents[0]) for x in (i, j)]
    bias = s.fidelity_bias[0] ** 2 * (h[0] @ h[1] + OWN_BIAS**2 * (i == j)) * min(way[k], way[o])
    course = (1 - s.apart[0]) * s.memory[0] ** abs(way[k] - way[o]) + s.apart[0] * (k == o)
    noise = course * (1 + s.growth[0] * way[k]) * (1 + s.growth[0] * way[o])
    same = v.seed_index[n] == v.seed_index[m]
    return float(latent + bias + noise * (SEED_EFFECT * same + (same and i == j)) + LEVEL * (k == o))


def on_all(networks: list[int], seeds: list[int], rungs: list[int]) -> Values:
    """Trainings that were all judged at the same rungs."""
    rng, count = np.random.default_rng(0), len(rungs)
    value = rng.standard_normal(len(networks) * count)
    return values(np.repeat(networks, count), np.repeat(seeds, count), value, rungs * len(networks))


#: Trainings that stopped early, and repeated ones that did not: the latter are summed.
STOPPED = values([0, 0, 1, 2, 3, 3, 4], [0, 1, 0, 0, 1, 1, 0], [3, 1, 4, 1, 5, 9, 2.6], [2, 2, 2, 1, 0, 2, 2])
REPEATED = on_all([0, 0, 3, 0, 1, 2, 2, 3, 3, 4], [0, 1, 1, 2, 0, 0, 3, 0, 2, 1], [2, 0])
ONE_RUNG = on_all([0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2] * 3, [1])


@pytest.mark.parametrize(("v", "sums"), [(STOPPED, 7), (REPEATED, 16), (ONE_RUNG, 5)])
def test_one_setting_is_normal_conditioning(v: Values, sums: int) -> None:
    settings, rungs = single(discrepancy=0.7, turn=2.4), (1, 2, 6)
    way = 1 - np.log(rungs) / np.log(6)
    assert len(as_seen(v).y) == sums
    count = range(len(v.value))
    total = np.array([[scalar_covariance(settings, v, n, m, way) for m in count] for n in count])
    shown = np.cos(settings.turn[0] * way[v.rung])
    cross = np.array([[scalar_latent(settings, i, v.network[n]) for n in count] for i in range(5)]) * shown
    prior = np.array([[scalar_latent(settings, i, j) for j in range(5)] for i in range(5)])
    y = v.value - np.array([v.value[v.rung == k].mean() for k in v.rung])
    noise = y @ np.linalg.solve(total, y) / (len(y) - len(set(v.rung)))
    law = Law(OCTAVES, rungs, settings)
    fit, asked_of = law.fit(v), law.networks(np.arange(5))
    posterior = fit.posterior(asked_of)
    np.testing.assert_allclose(posterior.mean, cross @ np.linalg.solve(total, y), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(fit.mean(asked_of), posterior.mean, rtol=1e-9)
    left = noise * (prior - cross @ np.linalg.solve(total, cross.T))
    np.testing.assert_allclose(posterior.covariance, left, rtol=1e-6, atol=1e-8)
    assert fit.deviation**2 == pytest.approx(noise)
    # What a further value would tell is what conditioning on it takes away, whatever the value.
    asked = values([2], [0], [0.0], [2]) if v is STOPPED else values([1], [1], [0.0], [2])
    more = Values(*(np.concatenate([getattr(v, f), getattr(asked, f)]) for f in vars(v)))
    about, between = fit.predict(asked_of, asked)
    after = law.fit(more)
    expected = after.posterior(asked_of).covariance * noise / after.noise[0]
    np.testing.assert_allclose(left - about @ about.T / between, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("v", [STOPPED, REPEATED, ONE_RUNG])
def test_settings_are_weighted_by_their_marginal_likelihood(v: Values) -> None:
    law = Law(OCTAVES, (1, 2, 6), settings=spread_settings().some(np.arange(8)))
    y = v.value - np.array([v.value[v.rung == k].mean() for k in v.rung])
    freedom = len(y) - len(set(v.rung))
    total = law.covariance(v, v)
    # A Student density: the normal one with its scale integrated out under 1 / scale.
    density = [-np.linalg.slogdet(t)[1] / 2 - freedom / 2 * np.log(y @ np.linalg.solve(t, y)) for t in total]
    expected = np.exp(density - np.max(density))
    fit = law.fit(v)
    np.testing.assert_allclose(fit.weights, expected / expected.sum(), rtol=1e-3, atol=1e-3)
    additive = (expected / expected.sum())[law.settings.discrepancy == 0].sum()
    assert fit.additive == pytest.approx(additive, abs=1e-6)


def test_many_values_without_prejudice_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    octaves = rng.uniform(-1, 2, (60, 3))
    settings = single(discrepancy=0.0, own=1e-6, slope=100.0)
    y = returns(octaves, settings.exponents[0]) @ [3.0, -1.0, 2.0] + rng.standard_normal(60)
    law = Law(octaves, settings=settings)
    posterior = law.fit(values(np.arange(60), np.zeros(60), y)).posterior(gains(ORIGIN))
    columns = np.hstack([returns(octaves, settings.exponents[0]), np.ones((60, 1))])
    slopes, (squares,), *_ = np.linalg.lstsq(columns, y, rcond=None)
    bought = returns(np.ones(3), settings.exponents[0])
    np.testing.assert_allclose(posterior.mean, slopes[:3] * bought, rtol=2e-3)
    errors = np.sqrt(squares / 59 * np.diag(np.linalg.inv(columns.T @ columns))[:3]) * bought
    np.testing.assert_allclose(np.sqrt(np.diag(posterior.covariance)), errors, rtol=5e-3)


def test_levels_of_rungs_and_units_do_not_matter() -> None:
    v = values([0, 1, 2, 3, 0, 1], [0, 0, 0, 0, 0, 0], [1, 4, 2, 3, 5, 7], [1, 1, 1, 1, 0, 0])
    law, asked = Law(OCTAVES, (1, 6)), gains(ORIGIN)
    posterior = law.fit(v).posterior(asked)
    shifted = law.fit(replace(v, value=v.value + np.where(v.rung == 0, 100.0, -50.0))).posterior(asked)
    scaled = law.fit(replace(v, value=100 * v.value)).posterior(asked)
    np.testing.assert_allclose(shifted.mean, posterior.mean)
    np.testing.assert_allclose(scaled.mean, 100 * posterior.mean)
    np.testing.assert_allclose(scaled.covariance, 10_000 * posterior.covariance, rtol=1e-6)


def test_a_point_without_a_network_has_no_own_part() -> None:
    law = Law(OCTAVES, settings=single(own=1.0))
    both = latent_values(np.repeat(OCTAVES[:1], 2, axis=0), np.array([0, -1]))
    covariance = law.latent(both, both)[0]
    np.testing.assert_allclose(covariance, np.diag([1.0, 0.0]) + covariance[1, 1], atol=1e-12)


def test_raised_worths_lie_on_their_directions() -> None:
    candidates = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.55]])
    asked = raised(candidates, (2.0, 16.0), 2.0, np.array([3, 4]))
    np.testing.assert_allclose(asked.octaves[:2], candidates)
    np.testing.assert_allclose(asked.octaves[2:].sum(axis=1), 4.0)
    np.testing.assert_allclose(asked.octaves[2], [2, 2, 0])
    np.testing.assert_array_equal(asked.network, [3, 4, -1, -1])
    np.testing.assert_allclose(asked.weights.sum(axis=1), 1.0)


def test_a_region_is_the_fewest_that_hold_the_best() -> None:
    v = values([0, 1, 2, 3, 4], np.zeros(5), [1, 4, 2, 3, 0.5])
    law = Law(OCTAVES)
    posterior = law.fit(v).posterior(law.networks(np.arange(5)))
    wins = np.bincount(posterior.draws.argmax(axis=1), minlength=5) / len(posterior.draws)
    region = posterior.region(0.8)
    assert wins[list(region)].sum() >= 0.8
    assert wins[list(region[:-1])].sum() < 0.8
    assert list(wins[list(region)]) == sorted(wins, reverse=True)[: len(region)]


@pytest.mark.parametrize("deviation", [0.5, 2.0])
def test_the_noise_is_known_without_repeated_seeds(deviation: float) -> None:
    found = []
    for seed in range(10):
        octaves = box(30, seed)
        latent = returns(octaves, np.array([0.3, 0.6, 0.9])) @ [3.0, 4.0, 2.0]
        found.append(fit_law(octaves, repeated(octaves, latent, 1, deviation, seed)).deviation)
    assert 0.7 < np.median(found) / deviation < 1.4


@pytest.mark.parametrize("reverse", [False, True])
def test_early_epochs_count_for_what_full_trainings_showed_of_them(reverse: bool) -> None:
    """Networks seen only at the first epoch are ranked by it, or against it, as the others suggest."""
    network = np.concatenate([np.repeat(np.arange(20), 2), np.arange(20, 30)])
    rung = np.concatenate([np.tile([0, 1], 20), np.zeros(10, dtype=np.int64)])
    agreement = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        octaves = np.vstack([np.repeat(OCTAVES[:1], 30, axis=0)])  # nothing but own parts to go by
        latent = rng.standard_normal(30)
        value = np.where(rung == 0, -latent[network] if reverse else latent[network], latent[network])
        seen = values(network, np.zeros(50), value + 0.2 * rng.standard_normal(50), rung)
        mean = fit_law(octaves, seen, (1, 6)).posterior(latent_values(octaves, np.arange(30))).mean
        agreement.append(np.corrcoef(mean[20:], latent[20:])[0, 1])
    assert np.mean(agreement) > 0.5


@pytest.mark.parametrize("exponents", [(0.2, 0.5, 1.0), (1.2, 0.3, 0.3)])
def test_intervals_and_regions_hold_planted_truths(exponents: tuple[float, float, float]) -> None:
    shares = np.array([(i, j, 3 - i - j) for i in range(4) for j in range(4 - i)]) / 3
    worths = raised(shares, (2.0, 4.0), 2.0, np.arange(len(shares)))
    hits, held, count = 0, 0, 24
    for seed in range(count):
        octaves = np.vstack([shares, box(14, seed)])
        slopes = np.random.default_rng([seed, 1]).uniform(1.5, 5, 3)

        def latent(x: Array, g: Array = slopes) -> Array:
            return np.asarray(returns(x, np.array(exponents)) @ g)

        trained = np.arange(6, len(octaves))
        seen = repeated(octaves[trained], latent(octaves[trained]), 1, 1.0, seed)
        fit = fit_law(octaves, replace(seen, network=trained[seen.network]))
        interval = fit.posterior(gains(ORIGIN)).interval(0.9)
        true = latent(np.eye(3)) - latent(ORIGIN)
        hits += int(((interval[:, 0] <= true) & (true <= interval[:, 1])).sum())
        best = int((worths.weights @ latent(worths.octaves)).argmax())
        held += best in fit.posterior(worths).region(0.95)
    assert hits >= stats.binom.ppf(0.001, 3 * count, 0.9)
    assert held >= stats.binom.ppf(0.001, count, 0.95)


@pytest.mark.parametrize(("interplay", "low", "high"), [(0.0, 2 * ADDITIVE, 1.0), (1.5, 0.0, 0.1 * ADDITIVE)])
def test_a_sum_over_axes_is_believed_in_where_it_is_one(interplay: float, low: float, high: float) -> None:
    found = []
    for seed in range(4):
        octaves = box(40, seed)
        latent = returns(octaves, np.array([0.3, 0.6, 0.9])) @ [3.0, 4.0, 2.0]
        latent += interplay * octaves[:, 0] * octaves[:, 1]
        found.append(fit_law(octaves, repeated(octaves, latent, 2, 0.4, seed)).additive)
    assert low < np.mean(found) < high


def test_lack_of_fit_is_noticed_and_not_imagined() -> None:
    p: dict[float, list[float]] = {0.0: [], 1.5: []}
    for interplay, found in p.items():
        for seed in range(40):
            octaves = box(25, seed)
            latent = returns(octaves, np.array([0.3, 0.6, 0.9])) @ [3.0, 4.0, 2.0]
            latent += interplay * octaves[:, 0] * octaves[:, 1]
            test = lack_of_fit(octaves, repeated(octaves, latent, 2, 0.5, seed))
            assert test is not None
            found.append(test.p)
    assert np.sum(np.array(p[0.0]) < 0.05) <= stats.binom.ppf(0.999, 40, 0.05)
    assert np.mean(np.array(p[1.5]) < 0.05) > 0.9
    assert lack_of_fit(octaves, values(np.arange(25), np.zeros(25), latent)) is None


def test_own_parts_are_told_from_the_law() -> None:
    octaves = box(40)
    law = returns(octaves, np.array([0.3, 0.6, 0.9])) @ [1.0, 1.5, 1.0]
    own = np.random.default_rng(5).standard_normal(40)
    parts = [
        fit_law(octaves, repeated(octaves, law + size * own, 3, 0.8)).own_part(np.arange(40))
        for size in (0.0, 2.0)
    ]
    assert parts[0] < 0.1
    assert parts[1] > 0.4


def test_the_best_direction_follows_the_slope_that_lasts() -> None:
    octaves = np.random.default_rng(0).uniform(-1, 2, (60, 3))
    latent = returns(octaves, np.array([0.1, 1.5, 1.5])) @ [3.0, 4.0, 4.0]
    fit = fit_law(octaves, repeated(octaves, latent, 1, 0.5))
    near, far = (best_directions(fit, size)[:, 0].mean() for size in (1.5, 16.0))
    assert near < 0.33
    assert far > 0.5


def test_the_order_of_values_does_not_matter() -> None:
    octaves: Array = box(12)
    seen = repeated(octaves, octaves.sum(axis=1), 2, 0.5)
    back: Indices = np.arange(len(seen.value))[::-1]
    turned = Values(*(getattr(seen, name)[back] for name in vars(seen)))
    means = [fit_law(octaves, v).mean(gains(ORIGIN)) for v in (seen, turned)]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-6)


def test_many_networks_of_nearly_one_size_do_not_break_it() -> None:
    """Each is like its neighbours, which are not like each other; a covariance it must be all the same."""
    octaves = 0.02 * np.random.default_rng(0).random((200, 3))
    law = Law(octaves, settings=single(own=2.0))
    everybody = law.networks(np.arange(200))
    (latent,) = law.latent(everybody, everybody)
    assert np.linalg.eigvalsh(latent).min() > -1e-9 * np.abs(latent).max()
    fit = fit_law(octaves, values(np.arange(200), np.zeros(200), np.random.default_rng(1).random(200)))
    assert np.isfinite(fit.mean(everybody)).all()
