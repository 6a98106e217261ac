"""The part of a map on the object, on maps whose answer is plain; and the verdict on planted shares."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scaler.inspect.focus import focus, on_object

LEFT_HALF = np.zeros((1, 64, 64), dtype=np.float32)
LEFT_HALF[:, :, :32] = 1


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1.0, 1.0], [1.0, 1.0]], 0.5),  # the same everywhere: the object's area
        ([[1.0, -5.0], [1.0, -5.0]], 0.875),  # drawn out, an eighth of the mass is beyond the middle
        ([[0.0, 1.0], [0.0, 1.0]], 0.125),
    ],
)
def test_the_part_of_a_map_on_half_of_the_image(rows: list[list[float]], expected: float) -> None:
    share = on_object(torch.tensor([rows]), LEFT_HALF)
    if rows[0][1] < 0:
        rows = [[1.0, 0.0], [1.0, 0.0]]  # what speaks against the class has no mass
        assert share == on_object(torch.tensor([rows]), LEFT_HALF)
    assert share[0] == pytest.approx(expected, abs=1e-6)


def test_no_mass_and_no_object_are_no_share() -> None:
    maps = torch.stack([-torch.ones(2, 2), torch.ones(2, 2)])
    masks = np.concatenate([LEFT_HALF, np.zeros_like(LEFT_HALF)])
    assert np.isnan(on_object(maps, masks)).all()


def planted(lead: float, noise: float, count: int = 400) -> dict[str, NDArray[np.float64]]:
    """Shares of images that differ much among themselves, and between networks by ``lead``."""
    generator = np.random.default_rng(1)
    image = generator.uniform(0.2, 0.8, count)
    return {
        "base": image + noise * generator.standard_normal(count),
        "width": image + noise * generator.standard_normal(count),
        "compound": image + lead + noise * generator.standard_normal(count),
    }


@pytest.mark.parametrize(("lead", "verdict"), [(0.05, "holds"), (-0.05, "contradicted"), (0.0, "open")])
def test_the_verdict_on_a_planted_lead(lead: float, verdict: str) -> None:
    found = focus(planted(lead, 0.02), np.full(400, 0.3), "compound")
    assert found.verdict == verdict
    assert found.lead["width"].low < lead < found.lead["width"].high
    assert found.area == pytest.approx(0.3)


def test_the_interval_of_a_mean_is_nearly_the_normal_one() -> None:
    values = planted(0, 0.02)
    share = focus(values, np.full(400, 0.3), "compound").shares["base"]
    half = 1.96 * values["base"].std(ddof=1) / math.sqrt(400)
    assert (share.high - share.low) / 2 == pytest.approx(half, rel=0.08)


def test_images_without_a_share_in_one_network_are_left_out_of_all() -> None:
    values = planted(0.05, 0.02)
    values["width"][:10] = np.nan
    found = focus(values, np.full(400, 0.3), "compound")
    assert (found.images, found.left_out) == (390, 10)
    assert found.shares["base"].mean == pytest.approx(values["base"][10:].mean())


def test_a_run_without_a_compound_network_has_no_verdict() -> None:
    found = focus({"base": np.array([0.1, 0.2])}, np.array([0.1, 0.1]), "")
    assert not found.lead
    assert found.verdict == "open"


def test_so_few_images_that_chance_could_be_all_decide_nothing() -> None:
    """A sign test of six images of one mind gives 2^-5, above a 40th for each of two leads; of seven 2^-6."""
    lead = planted(0.2, 0.001, 9)
    verdicts = [focus({n: v[:count] for n, v in lead.items()}, np.full(count, 0.3), "compound").verdict
                for count in (1, 2, 6, 7, 9)]  # fmt: skip
    assert verdicts == ["open", "open", "open", "holds", "holds"]
    one = focus({n: v[:1] for n, v in lead.items()}, np.full(1, 0.3), "compound")
    assert math.isnan(one.lead["width"].low)
    assert math.isnan(one.shares["base"].high)
    assert one.lead["width"].mean == pytest.approx(0.2, abs=0.01)
