from __future__ import annotations

import errno
import os
import shutil
import struct
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scaler.data import folder as folders
from scaler.data.dataset import DataSet, Part
from scaler.data.registry import load
from scaler.errors import UserError
from scaler.files import read_bytes
from tests.data.conftest import MakeFolder


def open_set(root: Path, resolution: int = 16, **options: Any) -> DataSet:
    return load(f"folder:{root}", largest_resolution=resolution, **options)


def pixels(part: Part) -> set[bytes]:
    return {image.tobytes() for image in part.images}


def test_val_and_test_are_the_validation_and_test_part(folder: MakeFolder) -> None:
    root = folder({"train/a": 5, "train/b": 4, "val/a": 2, "val/b": 2, "test/a": 1, "test/b": 3})
    data = open_set(root)
    assert data.sizes == {"train": 9, "validation": 4, "test": 4}
    assert data.part("test", 8).labels.tolist() == [0, 1, 1, 1]
    assert data.part("test", 8).images.shape == (4, 8, 8, 3)
    assert data.notes == ()


@pytest.mark.parametrize("held", ["val", "test"])
def test_a_single_held_out_folder_is_the_test_part(folder: MakeFolder, held: str) -> None:
    root = folder({"train/a": 10, "train/b": 10, f"{held}/a": 3, f"{held}/b": 3})
    data = open_set(root)
    assert data.sizes == {"train": 16, "validation": 4, "test": 6}
    assert f"{held}/" in data.notes[0]
    assert np.bincount(data.part("validation", 16).labels).tolist() == [2, 2]


def test_without_held_out_folders_both_parts_are_split_off_and_disjoint(folder: MakeFolder) -> None:
    data = open_set(folder({"train/a": 10, "train/b": 20}))
    assert data.sizes == {"train": 19, "validation": 5, "test": 6}
    assert "split off" in data.notes[0]
    parts = [pixels(data.part(name, 16)) for name in ("train", "validation", "test")]
    assert len(parts[0] | parts[1] | parts[2]) == 30


def test_the_split_follows_the_seed_of_the_data(folder: MakeFolder) -> None:
    root = folder({"train/a": 10, "train/b": 20})
    first, same, other = (open_set(root, seed=seed) for seed in (0, 0, 1))
    assert pixels(first.part("test", 16)) == pixels(same.part("test", 16))
    assert pixels(first.part("test", 16)) != pixels(other.part("test", 16))
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_classes_are_in_natural_order(folder: MakeFolder) -> None:
    root = folder({f"train/class{number}": 3 for number in (10, 2, 1)})
    assert open_set(root).classes == ("class1", "class2", "class10")


@pytest.mark.parametrize("backwards", [False, True])
def test_classes_do_not_depend_on_how_the_system_lists_them(
    folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    root = folder({f"train/{name}": 3 for name in ("1", "01", "2")})
    with os.scandir(root / "train") as listing:
        entries = sorted(listing, key=lambda entry: entry.name, reverse=backwards)
    monkeypatch.setattr(os, "scandir", lambda _: nullcontext(entries))
    assert folders._classes(root / "train") == ("01", "1", "2")


def test_the_fingerprint_survives_copying_and_sees_a_changed_image(
    folder: MakeFolder, tmp_path: Path
) -> None:
    root = folder({"train/a": 4, "train/b": 4})
    before = open_set(root).fingerprint
    shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    assert open_set(tmp_path / "copy").fingerprint == before
    Image.new("RGB", (40, 30)).save(root / "train/a/0.png")
    assert open_set(root).fingerprint != before


def test_centre_crop_and_orientation(tmp_path: Path) -> None:
    """A photo, red left, green in the middle, blue right, stored as it is and lying on its side."""
    picture = np.zeros((30, 90, 3), dtype=np.uint8)
    for third in range(3):
        picture[:, 30 * third : 30 * third + 30, third] = 255
    exif = Image.Exif()
    exif[0x0112] = 8  # to be turned by 90 degrees against the clock
    for name in ("a", "b"):
        (tmp_path / "set/train" / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(picture).save(tmp_path / f"set/train/{name}/{index}.png")
            turned = Image.fromarray(picture).rotate(-90, expand=True)
            turned.save(tmp_path / f"set/train/{name}/{index}t.png", exif=exif)
    images = open_set(tmp_path / "set").part("train", 10).images
    assert (images[:, 1:9, 1:9] == (0, 255, 0)).all()


@pytest.mark.parametrize("kind", ["L", "P", "CMYK", "RGBA", "LA", "1", "I;16"])
def test_every_mode_becomes_rgb(folder: MakeFolder, kind: str) -> None:
    root = folder({"train/a": 3, "train/b": 3})
    if kind == "I;16":
        image = Image.fromarray(np.full((20, 20), 128 * 256, dtype=np.uint16))
    else:
        image = Image.new("RGB", (20, 20), (255, 255, 255)).convert(kind)
    for index in range(3):
        image.save(root / f"train/a/{index}.tiff")
        os.remove(root / f"train/a/{index}.png")
    part = open_set(root).part("train", 8)
    expected = 128 if kind == "I;16" else 255
    assert (part.images[part.labels == 0] == expected).all()


def test_jpeg_is_shrunk_without_aliasing(tmp_path: Path) -> None:
    """A fine checkerboard is grey from afar; reading every n-th pixel would give black or white."""
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    for name in ("a", "b"):
        (tmp_path / "set/train" / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(board.astype(np.uint8)).save(
                tmp_path / f"set/train/{name}/{index}.jpg", quality=100
            )
    images = open_set(tmp_path / "set").part("train", 16).images.astype(int)
    assert np.abs(images - 127.5).max() < 16


def test_a_resolution_looks_the_same_whatever_was_drawn_before(
    folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = folder({"train/a": 4, "train/b": 4}, size=(300, 300))
    data = open_set(root, 200)
    for resolution in (200, 64, 40, 17):
        data.part("train", resolution)
    after = data.part("train", 16).images.copy()
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "other"))
    np.testing.assert_array_equal(open_set(root, 16).part("train", 16).images, after)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "there is no folder"),
        ({"val/a": 3, "val/b": 3}, "no folder train/"),
        ({"train": 0}, "empty"),
        ({"train": 3}, "no class folders"),
        ({"train/a": 3}, "single class"),
        ({"train/a": 3, "train/b": 0}, "train/b has no readable image"),
        ({"train/a": 3, "train/b": 3, "val/a": 3, "val/c": 3}, "only one has: b, c"),
        ({"train/a": 3, "train/b": 1}, "'b' has 1 training image"),
        ({"train/a": 3, "train/b": 2}, "at least 3"),
    ],
)
def test_wrong_folders_are_one_clear_error(
    folder: MakeFolder, tmp_path: Path, counts: dict[str, int], words: str
) -> None:
    folder(counts)
    with pytest.raises(UserError, match=words):
        open_set(tmp_path / "set")


def test_an_unreadable_image_is_named_or_left_out(folder: MakeFolder) -> None:
    root = folder({"train/a": 6, "train/b": 6})
    whole = (root / "train/a/3.png").read_bytes()
    (root / "train/a/3.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/b/1.png").write_text("no image")
    with pytest.raises(UserError, match=r"2 image.*train/a/3\.png.*--skip-unreadable"):
        open_set(root)
    data = open_set(root, skip_unreadable=True)
    assert sum(data.sizes.values()) == 10
    assert data.notes[0].startswith("2 unreadable image(s) left out")


def test_other_files_are_no_images(folder: MakeFolder) -> None:
    root = folder({"train/a": 3, "train/b": 3})
    (root / "train/a/Thumbs.db").write_text("x")
    (root / "train/.cache").mkdir()
    (root / "train/a/.hidden.png").write_text("x")
    assert sum(open_set(root).sizes.values()) == 6


def test_small_images_are_refused_unless_asked_for(folder: MakeFolder) -> None:
    root = folder({"train/a": 3, "train/b": 3}, size=(40, 30))
    assert open_set(root, 30).native_resolution == 30
    with pytest.raises(UserError, match="30 px, smaller than the 31 px"):
        open_set(root, 31)
    with pytest.raises(UserError, match="30 px"):
        open_set(root, 30).part("train", 32)
    data = open_set(root, 48, allow_upsampling=True)
    assert "upsampled to 48 px" in data.notes[-1]
    assert data.part("train", 48).images.shape[1] == 48


def test_a_photo_with_odd_tags_is_drawn_upright(folder: MakeFolder) -> None:
    """Its orientation is 6, and a text is a fraction: Pillow cannot write such tags anew."""
    root = folder({"train/a": 3, "train/b": 3})
    entries = struct.pack("<HHII", 0x010F, 5, 1, 8) + struct.pack("<HHII", 0x0112, 3, 1, 6)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    lower = np.zeros((40, 40, 3), dtype=np.uint8)
    lower[20:] = 255
    for index in range(3):
        Image.fromarray(lower).save(root / f"train/a/{index}.png", exif=exif)
    part = open_set(root).part("train", 8)
    left = part.images[part.labels == 0][:, :, :3]
    assert (left > 250).all()


def test_an_image_of_floating_point_numbers_is_unreadable_and_says_why(folder: MakeFolder) -> None:
    root = folder({"train/a": 4, "train/b": 4})
    Image.fromarray(np.linspace(0, 1, 900, dtype=np.float32).reshape(30, 30)).save(root / "train/a/f.tif")
    with pytest.raises(
        UserError, match=r"1 image\(s\) .*train/a/f\.tif \(its pixels are 32-bit numbers.*\); mend"
    ):
        open_set(root)
    data = open_set(root, skip_unreadable=True)
    assert sum(data.sizes.values()) == 8
    assert "f.tif (its pixels are 32-bit numbers" in data.notes[0]


@pytest.mark.parametrize(
    "fault", [MemoryError(), OSError(errno.EMFILE, "Too many open files"), UserError("cannot read it")]
)
def test_a_fault_that_passes_is_not_remembered(
    folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    root = folder({"train/a": 4, "train/b": 4})

    def short(path: Path, largest: int) -> bytes:
        if path.name == "2.png":
            raise fault
        return read_bytes(path, largest)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "read_bytes", short)
        with pytest.raises(UserError, match="2 image"):
            open_set(root)
    assert sum(open_set(root).sizes.values()) == 8


def test_only_what_failed_is_examined_again(folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder({"train/a": 4, "train/b": 4})
    (root / "train/a/broken.png").write_text("no image")
    open_set(root, skip_unreadable=True)
    read: list[str] = []

    def counted(path: Path, largest: int) -> bytes:
        read.append(path.name)
        return read_bytes(path, largest)

    monkeypatch.setattr(folders, "read_bytes", counted)
    assert sum(open_set(root, skip_unreadable=True).sizes.values()) == 8
    assert read == ["broken.png"]


def test_another_content_of_the_same_size_and_time_is_seen(folder: MakeFolder) -> None:
    root = folder({"train/a": 4, "train/b": 4})
    before = open_set(root).fingerprint
    path = root / "train/a/0.png"
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(UserError, match=r"train/a/0\.png"):
        open_set(root)
    assert open_set(root, skip_unreadable=True).fingerprint != before


def closed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nobody may list the folder; for root, permissions would not do."""
    listed = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)


@pytest.mark.parametrize("place", ["train", "val", "train/b", "train/a/more/inside"])
@pytest.mark.parametrize("skip", [False, True])
def test_a_folder_that_cannot_be_listed_is_named(
    folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, place: str, skip: bool
) -> None:
    """Its images would be missing without a word."""
    root = folder({"train/a": 4, "train/b": 4, "val/a": 3, "val/b": 3, "train/a/more/inside": 2})
    closed(monkeypatch, root / place)
    with pytest.raises(UserError, match=rf"the folder \S+/{place} cannot be read \(permission denied\)"):
        open_set(root, skip_unreadable=skip)


@pytest.mark.parametrize("name", ["folder:{}", "./{}", "cifar10"])
def test_a_path_that_the_system_does_not_take_is_named(tmp_path: Path, name: str) -> None:
    long = "a" * 300
    with pytest.raises(UserError, match=f"{long}.* cannot be read \\(file name too long\\)"):
        load(name.format(long), root=tmp_path / long, largest_resolution=8)


def test_a_folder_below_one_that_cannot_be_entered(
    folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder({"train/a": 3, "train/b": 3})
    asked: Callable[[Path], bool] = Path.is_dir

    def refuse(path: Path) -> bool:
        if path.parent == root:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return asked(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    for name in (f"folder:{root}", "cifar10"):
        with pytest.raises(UserError, match=r"/train cannot be read \(permission denied\)"):
            load(name, root=root, largest_resolution=8)


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(UserError, match=r"folder:~no-such-user/photos begins with no user's home"):
        load("folder:~no-such-user/photos", largest_resolution=8)
