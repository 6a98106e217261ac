"""Draws of a posterior, against the means and covariances that they are drawn from."""

import numpy as np
import pytest

from scaler.search.inference.posterior import Posterior, root


@pytest.mark.parametrize("rank", [0, 1, 3, 6])
def test_a_root_gives_the_covariance_back_whatever_its_rank(rank: int) -> None:
    parts = np.random.default_rng(rank).standard_normal((6, rank))
    covariance = parts @ parts.T
    found = root(covariance)
    assert found @ found.T == pytest.approx(covariance, abs=1e-12)
    assert np.linalg.matrix_rank(found) == rank


def test_draws_have_the_moments_of_the_mixture() -> None:
    rng = np.random.default_rng(0)
    parts = rng.standard_normal((2, 3, 3))
    parts[:, 2] = parts[:, 1]  # one question asked twice: its answers are equal in every draw
    means = np.array([[0.0, 1.0, 1.0], [2.0, -1.0, -1.0]])
    freedom = 40
    posterior = Posterior(np.array([0.3, 0.7]), means, parts @ np.swapaxes(parts, 1, 2), freedom)
    draws = posterior.draws
    # A Student distribution is wider than the normal one of the same scale.
    widened = Posterior(posterior.weights, means, posterior.covariances * freedom / (freedom - 2), freedom)
    error = np.sqrt(np.diag(widened.covariance) / len(draws))
    assert np.abs(draws.mean(axis=0) - posterior.mean).max() < 3 * error.max()
    assert np.cov(draws.T) == pytest.approx(widened.covariance, rel=0.1, abs=0.1)
    assert draws[:, 2] == pytest.approx(draws[:, 1], abs=1e-6)
