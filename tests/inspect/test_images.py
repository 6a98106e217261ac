"""Which images are shown: the rule on planted predictions, and names that are wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scaler.data.dataset import DataSet
from scaler.data.registry import load
from scaler.errors import UserError
from scaler.inspect.images import UNKNOWN, disagreements, named, sample


def test_images_that_divide_networks_most_evenly_come_first_and_classes_take_turns() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0])
    right = np.array(
        [
            [1, 1, 0, 1, 1, 1],
            [1, 0, 0, 1, 0, 1],
            [1, 0, 0, 1, 0, 0],
            [1, 1, 0, 1, 1, 0],
        ]
    )
    predicted = np.where(right, labels, 2)
    # Images 1, 4, 5 divide four networks two to two; 1 and 4 are the first of their classes.
    places, dividing = disagreements(predicted, labels, 3)
    assert places.tolist() == [1, 4, 5]
    assert dividing == 3
    places, dividing = disagreements(predicted, labels, 5)
    assert dividing == 3
    assert set(places.tolist()) == {1, 4, 5, 0, 3}


def test_which_network_is_right_plays_no_part() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 60)
    predicted = generator.integers(0, 4, (5, 60))
    first, _ = disagreements(predicted, labels, 20)
    second, _ = disagreements(predicted[::-1], labels, 20)
    assert first.tolist() == second.tolist()


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "cache"))
    for part in ("train", "val", "test"):
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for number in range(3):
                colour = (100 * label, 50 * number, 0)
                Image.new("RGB", (10, 10), colour).save(tmp_path / "photos" / part / name / f"{number}.png")
    return load(f"folder:{tmp_path / 'photos'}", largest_resolution=8)


def test_images_by_number_by_name_and_by_path(photos: DataSet, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (7, 8, 9)).save(tmp_path / "other.png")
    found = named(["4", "cat/2.png", str(tmp_path / "other.png")], photos, "test")
    assert found.names == ("dog/1.png", "cat/2.png", "other.png")
    assert found.labels.tolist() == [1, 0, UNKNOWN]
    colours = found.at(8)[:, 4, 4].tolist()
    assert colours == [[100, 50, 0], [0, 100, 0], [7, 8, 9]]


def test_a_sample_is_spread_evenly_over_the_classes(photos: DataSet) -> None:
    assert sorted(sample(photos, "test", 4).labels.tolist()) == [0, 0, 1, 1]
    assert len(sample(photos, "test", 0)) == 6


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("6", "there is no image 6: the test part of .* ends at 5"),
        ("2.png", "2 images of .* are named '2.png'"),
        ("none.png", "there is no image 'none.png'"),
        ("²", "there is no image '²'"),
        ("", "there is no image ''"),
        (".", "there is no image '.'"),
        ("..", "there is no image '..'"),
        ("9" * 5000, "there is no image 9999.*ends at 5"),
    ],
)
def test_wrong_names_end_in_one_sentence(photos: DataSet, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        named([name], photos, "test")


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    with pytest.raises(UserError, match=r"the picture .*broken.jpg cannot be read"):
        named([str(broken)], None, "test")
