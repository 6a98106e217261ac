"""Networks side by side: maps of planted colours, and claims that need a compound network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scaler.data.registry import load
from scaler.growth.package import Preprocessing, save_weights
from scaler.inspect.images import from_file, sample
from scaler.inspect.looks import compare_focus, look, single_dimension
from scaler.inspect.subjects import Subject, of_run
from scaler.networks.build import build
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec import NetworkSpec
from scaler.networks.spec_files import text_of
from scaler.runs import open_run
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from tests.inspect.test_cam import red_green


def untrained(name: str, native: NetworkSpec) -> Subject:
    return Subject(name, red_green(), native)


@pytest.mark.parametrize(
    ("multipliers", "grown"),
    [
        ((2, 1, 1), "depth"),
        ((1, 2, 1), "width"),
        ((1, 1, 1.5), "resolution"),
        ((1.4, 1.2, 1), ""),
        ((1, 1, 1), ""),
    ],
)
def test_a_policy_that_grows_in_one_dimension_is_not_compound(
    multipliers: tuple[float, float, float], grown: str
) -> None:
    start = base("resnet-20")
    larger = scale(start, Multipliers(*multipliers), Rounding(divisor=1))
    subjects = [untrained("base", start), untrained("compound", larger)]
    assert single_dimension(subjects, "compound") == grown
    assert single_dimension(subjects, "") == ""


def test_a_policy_is_held_against_a_base_that_was_not_trained_and_what_moved_back_is_no_growth() -> None:
    start = base("resnet-20")
    larger = scale(start, Multipliers(1, 0.94, 1.5), Rounding(divisor=1))
    assert single_dimension([untrained("compound", larger)], "compound", start) == "resolution"
    assert single_dimension([untrained("compound", larger)], "compound") == ""


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of 8 px: red on the left and black on the right, or green instead of red."""
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "cache"))
    for part in ("train", "val", "test"):
        for name, colour in (("green", (0, 255, 0)), ("red", (255, 0, 0))):
            (tmp_path / "halves" / part / name).mkdir(parents=True)
            for number in range(3):
                image = Image.new("RGB", (8, 8))
                image.paste(colour, (0, 0, 4, 8))
                image.save(tmp_path / "halves" / part / name / f"{number}.png")
    return tmp_path / "halves"


def test_maps_of_a_planted_network_lie_where_its_colour_is(halves: Path) -> None:
    """Class 1 of the network is three times the red channel above its mean: on red images, the left half."""
    network = red_green()
    network.spec = replace(network.spec, resolution=8)
    data = load(f"folder:{halves}", largest_resolution=8)
    images = sample(data, "test", 0)
    (seen,) = look([Subject("base", network, network.spec)], images, data)
    assert seen.asked.tolist() == images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    torch.testing.assert_close(seen.maps[3, :, 4:], torch.zeros(8, 4))
    assert (seen.maps[3, :, :4] > 1).all()
    masks = np.zeros((6, 64, 64), dtype=np.float32)
    masks[:, :, :32] = 1
    share = compare_focus([seen], np.where(images.labels[:, None, None] == 1, masks, np.nan)).shares["base"]
    # Drawn out, the border falls from 1 to 0 within a cell: of 32 pixels of mass one lies beyond it.
    assert share.mean == pytest.approx(31 / 32, abs=1e-6)


def test_a_picture_of_no_known_class_is_asked_for_the_predicted_one(halves: Path) -> None:
    network = red_green()
    network.spec = replace(network.spec, resolution=8)
    data = load(f"folder:{halves}", largest_resolution=8)
    (seen,) = look(
        [Subject("base", network, network.spec)], from_file(halves / "test" / "red" / "0.png"), data
    )
    assert seen.asked.tolist() == seen.predicted.tolist()


def test_a_network_is_found_by_more_digits_of_its_phi_than_its_name_has(tmp_path: Path) -> None:
    spec = small(base("resnet-20"), 8)
    with open_run(tmp_path, "grown", "scale", {}) as run:
        for name in ("own-phi-0.333333", "own-phi-0.333333-proxy"):
            run.write_text(f"networks/{name}.yaml", text_of(spec))
        save_weights(build(spec), Preprocessing(()), run.file("networks/own-phi-0.333333-proxy.safetensors"))
    assert [one.network.spec for one in of_run(run, phi=0.33333333)] == [spec]
