"""Where objects are: fractals' masks against the painted images, boxes and masks against their geometry."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scaler.data import fractals
from scaler.data.dataset import DataSet
from scaler.data.registry import load
from scaler.errors import UserError
from scaler.inspect.images import Images, of_part
from scaler.inspect.objects import SIDE, by_construction, given


def test_fractals_are_painted_where_their_masks_say_and_nowhere_else() -> None:
    """Without noise the ground is a plane in every colour: fitted to what lies outside, it fits exactly."""
    settings = fractals.Settings(
        parents=3, children=1, noise=0.0, tint=0.1, images={"train": 4, "validation": 1, "test": 1}
    )
    images = np.concatenate(list(fractals.source(settings).draw("train", 64))).astype(float)
    masks = np.concatenate(list(fractals.masks("train", 64, settings)))
    assert masks.shape == (12, 64, 64)
    row, column = np.mgrid[:64, :64].astype(float)
    plane = np.stack([np.ones(64 * 64), row.ravel(), column.ravel()], axis=1)
    for image, mask in zip(images.reshape(12, -1, 3), masks.reshape(12, -1), strict=True):
        assert 0.05 < mask.mean() < 0.6
        fitted, *_ = np.linalg.lstsq(plane[~mask], image[~mask], rcond=None)
        assert np.abs(plane[~mask] @ fitted - image[~mask]).max() <= 1
        # Grounds are around 0.3 of the range and patterns around 0.7, each within a tint of 0.1.
        assert np.abs(plane[mask] @ fitted - image[mask]).max(axis=1).min() > 50
        assert len(np.unique(image[mask], axis=0)) <= 6


def test_every_fractal_gets_its_own_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.zeros((2, 3, SIDE, SIDE), dtype=bool)
    for row in range(6):
        drawn[row // 3, row % 3, row] = True
    monkeypatch.setattr(fractals, "masks", lambda part, resolution: iter(drawn))
    unknown = np.array([4, -1, 0])
    images = Images(
        ("four", "mine", "none"), unknown, unknown, lambda resolution: np.zeros((3, 1, 1, 3), np.uint8)
    )
    masks = by_construction(images, "test")
    assert [mask.argmax() // SIDE for mask in masks[[0, 2]]] == [4, 0]
    assert np.isnan(masks[1]).all()


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """Images of 40 x 20 pixels, of which the middle 20 x 20 are seen."""
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "cache"))
    for part in ("train", "val", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (40, 20), (10 * number, 0, 0)).save(folder / f"{name}{number}.png")
    return load(f"folder:{tmp_path / 'photos'}", largest_resolution=8)


def test_boxes_are_cut_as_the_images_are(photos: DataSet, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(
        "image,left,top,right,bottom\ncat/cat0.png,0,0,20,10\ndog1,25,15,30,20\ndog1,10,0,15,5\n"
    )
    masks = given(boxes, of_part(photos, "test", np.arange(4)), photos, "test")
    assert np.isnan(masks[[1, 2]]).all()
    corner = np.zeros((SIDE, SIDE))
    corner[: SIDE // 2, : SIDE // 2] = 1  # of the seen 20 x 20, the box covers the upper left quarter
    np.testing.assert_allclose(masks[0], corner)
    assert masks[3].mean() == pytest.approx(2 * 25 / 400)


def test_an_image_may_be_called_as_a_missing_value(alike: DataSet, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,left,top,right,bottom\nNA,0,0,20,10\n")
    with pytest.raises(UserError, match="no object for any of the images"):  # the line itself is a box
        lightness(boxes, alike)
    boxes.write_text("image,left,top,right,bottom\n,0,0,20,10\n")
    with pytest.raises(UserError, match="line 2: no box"):
        lightness(boxes, alike)


def test_masks_are_cut_as_the_images_are(photos: DataSet, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    drawn = np.zeros((20, 40), dtype=np.uint8)
    drawn[:, :20] = 255
    Image.fromarray(drawn).save(folder / "cat1.png")
    masks = given(folder, of_part(photos, "test", np.arange(4)), photos, "test")
    assert np.isnan(masks[[0, 2, 3]]).all()
    assert masks[1].mean() == pytest.approx(0.5, abs=0.01)
    assert masks[1][:, : SIDE // 2 - 4].min() == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,left,top,right\na,1,2,3\n", "lacks the column 'bottom'"),
        ("image,left,top,right,bottom\ncat0,5,0,5,9\n", "line 2: no box"),
        ("image,left,top,right,bottom\ncat0,5,0,many,9\n", "line 2: no box"),
        ("image,left,top,right,bottom\nbird0,5,0,6,9\n", "no object for any of the images: name each"),
    ],
)
def test_wrong_boxes_end_in_one_sentence(photos: DataSet, tmp_path: Path, text: str, sentence: str) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(text)
    with pytest.raises(UserError, match=sentence):
        given(boxes, of_part(photos, "test", np.arange(4)), photos, "test")


def test_no_boxes_and_unreadable_masks(photos: DataSet, tmp_path: Path) -> None:
    images = of_part(photos, "test", np.arange(4))
    with pytest.raises(UserError, match="there is no file or folder"):
        given(tmp_path / "none.csv", images, photos, "test")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "cat0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"the mask .*cat0.png cannot be read"):
        given(tmp_path / "masks", images, photos, "test")


@pytest.fixture
def alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """Images whose files are called alike in every class: rows 0 and 1 are cats, 2 and 3 dogs, 4 is a fox."""
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "cache"))
    for part in ("train", "val", "test"):
        for name, files in (("cat", "01"), ("dog", "01"), ("fox", "7")):
            folder = tmp_path / "alike" / part / name
            folder.mkdir(parents=True)
            for file in files:
                Image.new("RGB", (20, 20), (10 * int(file), 0, 0)).save(folder / f"{file}.png")
    return load(f"folder:{tmp_path / 'alike'}", largest_resolution=8)


def draw_masks(folder: Path, masks: Mapping[str, int]) -> Path:
    """Masks by path, each of one brightness."""
    for name, light in masks.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), light).save(folder / name)
    return folder


def lightness(source: Path, data: DataSet) -> list[int | None]:
    """Brightness of the mask that every image of the test part got."""
    masks = given(source, of_part(data, "test", np.arange(5)), data, "test")
    return [None if np.isnan(mask).any() else round(255 * mask.mean()) for mask in masks]


def test_masks_of_equal_names_are_told_apart_by_their_folders(alike: DataSet, tmp_path: Path) -> None:
    drawn = {"cat/0.png": 10, "cat/1.png": 20, "dog/0.png": 30, "dog/1.png.png": 40, "fox/7.tif": 50}
    assert lightness(draw_masks(tmp_path / "masks", drawn), alike) == [10, 20, 30, 40, 50]


def test_a_mask_in_the_folder_of_a_class_is_of_no_other_class(alike: DataSet, tmp_path: Path) -> None:
    drawn = {"cat/0.png": 10, "dog/7.png": 20, "more/7.png": 30}
    assert lightness(draw_masks(tmp_path / "masks", drawn), alike) == [10, None, None, None, 30]


@pytest.mark.parametrize(
    ("drawn", "sentence"),
    [
        ({"0.png": 10}, "more than one image of .*alike is named '0': .* such as dog/0.png"),
        ({"a/7.png": 10, "b/7.png": 20}, r"a/7.png and .*b/7.png are both the mask of '7'"),
        ({"test/cat/0.png": 1, "train/cat/0.png": 2}, r"are both the mask of 'cat/0'"),
    ],
)
def test_a_mask_that_may_be_anothers_is_refused(
    alike: DataSet, tmp_path: Path, drawn: dict[str, int], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        lightness(draw_masks(tmp_path / "masks", drawn), alike)


def test_boxes_of_equal_names_are_told_apart_by_their_folders(alike: DataSet, tmp_path: Path) -> None:
    boxes, header = tmp_path / "boxes.csv", "image,left,top,right,bottom\n"
    boxes.write_text(f"{header}cat/0.png,0,0,20,10\ndog/0,0,0,20,20\n7.png,0,0,10,10\n")
    assert lightness(boxes, alike) == [128, None, 255, None, 64]
    for name in ("0", "0.png"):
        boxes.write_text(f"{header}{name},0,0,20,10\n")
        with pytest.raises(UserError, match=f"more than one image of .* is named '{name}'"):
            lightness(boxes, alike)


def test_a_number_is_an_image_where_no_file_is_called_so(alike: DataSet, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,left,top,right,bottom\n3,0,0,20,10\n7,0,0,20,20\n")
    assert lightness(boxes, alike) == [None, None, None, 128, 255]
