"""Growth laws against laws that are known, and against the largest network that they were not shown."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from scaler.curves.growth_law import GrowthLaw, Noise, NoLaw, fit_growth, noise_of
from tests.benchmarks.leave_out import predictions, table

Values = Mapping[tuple[int, int], float]

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def values_of(
    levels: Sequence[float], seeds: int, deviation: float, generator: np.random.Generator
) -> Values:
    effects = 0.01 * generator.standard_normal(seeds)
    return {
        (t, s): level + effects[s] + deviation * generator.standard_normal()
        for t, level in enumerate(levels)
        for s in range(seeds)
    }


def means(values: Values, trainings: Sequence[int]) -> list[float]:
    return [float(np.mean([v for (t, _), v in values.items() if t == one])) for one in trainings]


def fitted(flops: Sequence[float], values: Values, trainings: Sequence[int]) -> GrowthLaw:
    return law_of(flops, means(values, trainings), values)


def law_of(flops: Sequence[float], accuracies: Sequence[float], values: Values) -> GrowthLaw:
    noise = noise_of(values)
    assert isinstance(noise, Noise)
    law = fit_growth(flops, accuracies, noise)
    assert isinstance(law, GrowthLaw)
    return law


def test_a_law_without_noise_is_found_again_and_inverted() -> None:
    flops = [1e6 * 2**k for k in range(8)]
    truth = [1 - 0.1 - 0.3 * (f / 1e6) ** -0.4 for f in flops]
    law = fitted(flops, values_of(truth, 3, 1e-5, np.random.default_rng(0)), range(8))
    for f in (3e6, 5e8):
        assert law.accuracy(f).middle == pytest.approx(1 - 0.1 - 0.3 * (f / 1e6) ** -0.4, abs=0.02)
    wanted = 1 - 0.1 - 0.3 * (2e7 / 1e6) ** -0.4
    assert law.flops_for(wanted).middle == pytest.approx(2e7, rel=0.15)


@pytest.mark.parametrize(
    ("networks", "seeds", "own"), [(4, 2, 0.0), (5, 2, 0.0), (5, 4, 0.0), (4, 2, 0.007), (5, 4, 0.007)]
)
def test_the_left_out_largest_network_lies_within_its_bounds(networks: int, seeds: int, own: float) -> None:
    generator = np.random.default_rng(networks + seeds)
    held = []
    for _ in range(100):
        floor, exponent = generator.uniform(0, 0.3), math.exp(generator.uniform(math.log(0.05), 0))
        flops = [2.0**k for k in range(networks)]
        levels = [1 - floor - 0.3 * f**-exponent for f in flops]
        # Three policies, as in a scaling: the noise is known from all, the law from one.
        lumps = own * generator.standard_normal(3 * networks)
        values = values_of(list(np.array(levels * 3) + lumps), seeds, 0.01, generator)
        largest = networks - 1
        known = {(t, s): v for (t, s), v in values.items() if t % networks != largest}
        law = law_of(flops[:-1], means(values, range(largest)), known)
        found = law.accuracy(flops[-1], measured=True)
        held.append(found.low <= means(values, [largest])[0] <= found.high)
    # 95 % within what 100 repetitions can tell; more is no harm, for floors and exponents are drawn alike.
    assert np.mean(held) >= 0.89


def test_the_largest_networks_of_real_runs_are_predicted() -> None:
    folders = sorted(path for path in REFERENCE.iterdir() if path.is_dir())
    found = [one for folder in folders for one in predictions(folder)]
    assert {"quick"} <= {one.run for one in found}
    within = sum(one.within for one in found)
    # No fewer than luck may leave of bounds that hold 95 %.
    assert stats.binom.cdf(within, len(found), 0.95) > 0.001
    # Bounds that say something; those of few images, where seeds scatter by four points, are twice as wide.
    widths = [one.high - one.low for one in found]
    assert np.median(widths) < 0.1
    assert max(widths) < 0.25


def a_scaling(folder: Path, last: float) -> None:
    """Two policies at 1, 2, 4 and 8 times the base's FLOPs, which share the base; the last as given."""
    generator = np.random.default_rng(0)
    levels = [0.6, 0.66, 0.71, last, 0.65, 0.69, 0.73]
    names = [
        "base",
        *(f"compound-phi-{phi}" for phi in (1, 2, 3)),
        *(f"depth-phi-{phi}" for phi in (1, 2, 3)),
    ]
    values = values_of(levels, 3, 0.003, generator)
    curve = ["network,policy,phi,flops,accuracy,training"]
    for training, name in enumerate(names):
        phi = int(name[-1]) if "phi" in name else 0
        policy = "depth" if "depth" in name else "compound"
        curve.append(f"{name},{policy},{phi},{1e6 * 2**phi},{means(values, [training])[0]},{training}")
    trials = ["candidate,seed_index,rung,accuracy,state"]
    trials += [f"{training},{seed},0,{value},complete" for (training, seed), value in values.items()]
    folder.mkdir()
    (folder / "curve.csv").write_text("\n".join(curve))
    (folder / "trials.csv").write_text("\n".join(trials))


def test_what_is_left_out_of_a_run_is_told_from_what_is_predicted(tmp_path: Path) -> None:
    a_scaling(tmp_path / "smooth", 0.75)
    a_scaling(tmp_path / "broken", 0.45)
    smooth, broken = list(predictions(tmp_path / "smooth")), list(predictions(tmp_path / "broken"))
    assert [(one.policy, one.networks, one.seeds, one.doublings) for one in smooth] == [
        ("compound", 3, 3, 1.0),
        ("depth", 3, 3, 1.0),
    ]
    assert all(one.within for one in smooth)
    # What it was not shown does not move the prediction.
    assert broken[0].measured < broken[0].low < smooth[0].low + 0.02
    assert not broken[0].within
    whole = table([*smooth, *broken]).iloc[-1]
    assert (whole["run"], whole["within"]) == ("all", 0.75)


def test_more_seeds_make_the_band_narrower() -> None:
    def width(seeds: int) -> float:
        values = values_of([0.6, 0.66, 0.7, 0.73], seeds, 0.01, np.random.default_rng(3))
        found = fitted([1, 2, 4, 8], values, range(4)).accuracy(8)
        return found.high - found.low

    assert width(12) < 0.7 * width(3)


def reason(found: object) -> str:
    assert isinstance(found, NoLaw)
    return found.reason


def test_nothing_is_said_without_networks_or_seeds_enough() -> None:
    values = values_of([0.6, 0.66], 3, 0.01, np.random.default_rng(0))
    noise = noise_of(values)
    assert isinstance(noise, Noise)
    assert "3 networks" in reason(fit_growth([1, 2], means(values, range(2)), noise))
    assert "two seeds" in reason(noise_of({(0, 0): 0.5, (1, 0): 0.6}))
    assert "missing" in reason(noise_of({(0, 0): 0.5, (0, 1): 0.5, (1, 0): 0.6}))


def test_a_law_reaches_as_far_beyond_as_it_has_seen() -> None:
    values = values_of([0.6, 0.66, 0.7], 3, 0.01, np.random.default_rng(0))
    assert fitted([1e6, 2e6, 4e6], values, range(3)).reach == 16e6
