"""Growth laws against laws that are known, and against the largest network that they were not shown."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet

from scaler.curves.growth_law import FEWEST_NETWORKS, GrowthLaw, Noise, NoLaw, fit_growth, noise_of

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


@pytest.mark.parametrize(("networks", "seeds"), [(4, 2), (5, 2), (5, 4)])
def test_the_left_out_largest_network_lies_within_its_bounds(networks: int, seeds: int) -> None:
    generator = np.random.default_rng(networks + seeds)
    held = []
    for _ in range(100):
        floor, exponent = generator.uniform(0, 0.3), math.exp(generator.uniform(math.log(0.05), 0))
        flops = [2.0**k for k in range(networks)]
        levels = [1 - floor - 0.3 * f**-exponent for f in flops]
        # Three policies, as in a scaling: the noise is known from all, the law from one.
        values = values_of(levels * 3, seeds, 0.01, generator)
        largest = networks - 1
        known = {(t, s): v for (t, s), v in values.items() if t % networks != largest}
        law = law_of(flops[:-1], means(values, range(largest)), known)
        found = law.accuracy(flops[-1], measured=True)
        held.append(found.low <= means(values, [largest])[0] <= found.high)
    # 95 % within what 100 repetitions can tell; more is no harm, for floors and exponents are drawn alike.
    assert np.mean(held) >= 0.89


def scalings() -> Iterator[ParameterSet]:
    for folder in sorted(REFERENCE.iterdir()):
        curve = folder / "curve.csv"
        trials = next((p for p in (folder / "scale-trials.csv", folder / "trials.csv") if p.is_file()), None)
        if curve.is_file() and trials is not None:
            yield pytest.param(curve, trials, id=folder.name)


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("curve", "trials"), list(scalings()))
def test_the_largest_network_of_a_real_run_is_predicted(curve: Path, trials: Path) -> None:
    rows, values = read(curve), dict[tuple[int, int], float]()
    for row in read(trials):
        values[int(row["candidate"]), int(row["seed_index"])] = float(row["accuracy"])
    rows = [row for row in rows if row["policy"] == rows[0]["policy"]]
    known = rows[:-1]
    if len(known) < FEWEST_NETWORKS:
        pytest.skip(f"{len(known)} networks are left without the largest, and a law needs {FEWEST_NETWORKS}")
    last = int(rows[-1].get("training") or len(rows) - 1)
    values = {key: value for key, value in values.items() if key[0] != last}
    law = law_of([float(r["flops"]) for r in known], [float(r["accuracy"]) for r in known], values)
    found = law.accuracy(float(rows[-1]["flops"]), measured=True)
    assert found.low <= float(rows[-1]["accuracy"]) <= found.high
    assert found.high - found.low < 0.15


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
