from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from scaler.data import cifar10, registry
from scaler.data.dataset import DataSet
from scaler.data.fractals import Settings
from scaler.data.fractals import source as fractals
from scaler.data.source import data_set
from scaler.errors import MachineError, UserError
from tests.data.conftest import MakeFolder

PHOTOS = Path(os.environ.get("SCALER_TEST_PHOTOS", "/tmp/data"))


def all_pixels(data: DataSet, resolution: int) -> set[bytes]:
    parts = [data.part(name, resolution).images for name in ("train", "validation", "test")]
    return {image.tobytes() for images in parts for image in images}


def test_an_unknown_data_set_shows_what_there_is() -> None:
    with pytest.raises(UserError, match=r"imagenet.*fractals, digits, cifar10, folder:PATH"):
        registry.load("imagenet", largest_resolution=8)


def test_the_list_of_data_sets_needs_no_torch() -> None:
    code = "import sys; from scaler.data.registry import DATA as d; "
    code += "print(len(d), {'torch', 'sklearn', 'numpy'} & {*sys.modules})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "4 set()\n"


def test_digits_are_scikit_learns() -> None:
    data = registry.load("digits", largest_resolution=8)
    assert sum(data.sizes.values()) == 1797
    bundle = load_digits()
    grey = {
        np.round(image * 255 / 16).astype(np.uint8).tobytes(): int(digit)
        for image, digit in zip(bundle.images, bundle.target, strict=True)
    }
    part = data.part("test", 8)
    assert [grey[image[..., 0].tobytes()] for image in part.images] == part.labels.tolist()
    assert len(all_pixels(data, 8)) == len(grey)
    with pytest.raises(UserError, match="8 px"):
        registry.load("digits", largest_resolution=16)


TINY = Settings(parents=3, children=2, images={"train": 6, "validation": 3, "test": 3})


def test_fractals_are_the_same_for_a_seed_and_others_for_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = data_set(fractals(TINY), 32)
    first = data.part("train", 16).images.copy()
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "other"))
    np.testing.assert_array_equal(data.part("train", 16).images, first)
    other = fractals(Settings(parents=3, children=2, images=TINY.images, seed=1))
    assert other.fingerprint != fractals(TINY).fingerprint
    assert (data_set(other, 32).part("train", 16).images != first).mean() > 0.5


def test_fractal_parts_are_separate_draws_of_the_same_classes() -> None:
    data = data_set(fractals(TINY), 32)
    assert data.sizes == {"train": 36, "validation": 18, "test": 18}
    assert np.bincount(data.part("test", 16).labels).tolist() == [3] * 6
    assert len(all_pixels(data, 16)) == 72


def test_children_of_a_parent_are_more_alike_than_strangers() -> None:
    """Mean images of classes, without colour: siblings correlate more than classes of other parents."""
    settings = Settings(parents=6, children=3, images={"train": 24, "validation": 1, "test": 1})
    images = data_set(fractals(settings), 32).part("train", 16).images.mean(axis=3)
    means = images.reshape(18, 24, -1).mean(axis=1)
    likeness = np.corrcoef(means)
    family = np.arange(18) // 3
    siblings = (family[:, None] == family) & ~np.eye(18, dtype=bool)
    strangers = family[:, None] != family
    assert likeness[siblings].mean() > likeness[strangers].mean() + 0.1


def test_a_larger_drawing_shows_the_same_fractal() -> None:
    """Drawn at 64 px and at 256 px, then brought to one size."""
    data = data_set(fractals(TINY), 128)
    coarse, fine = data.part("test", 32).images, data.part("test", 128).images
    shrunk = fine.reshape(18, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    pairs = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(coarse, shrunk, strict=True)]
    assert min(pairs) > 0.75


def test_default_fractals_are_as_many_as_promised() -> None:
    data = registry.load("fractals", largest_resolution=32)
    assert data.sizes["train"] >= 6000
    assert data.sizes["validation"] >= 2000
    assert data.sizes["test"] >= 2000
    assert len(data.classes) == Settings().classes


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    """Six files like the official ones, with 20 images each, and their archive."""
    folder = tmp_path / "official" / cifar10.BATCHES
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        data = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
        content = {b"data": data, b"labels": [*range(10)] * 2, b"batch_label": name.encode()}
        # The official files were pickled by a numpy whose module had this name.
        (folder / name).write_bytes(pickle.dumps(content, protocol=2).replace(b"numpy._core", b"numpy.core"))
    return folder


def check_official(data: DataSet, batches: Path) -> None:
    assert data.classes == cifar10.CLASSES
    assert data.sizes == {"train": 50 + 30, "validation": 20, "test": 20}
    content = pickle.loads((batches / "test_batch").read_bytes())
    part = data.part("test", 32)
    assert part.images[7, 3, 5].tolist() == [content[b"data"][7][1024 * c + 32 * 3 + 5] for c in range(3)]
    assert part.labels.tolist() == content[b"labels"]
    assert len(all_pixels(data, 32)) == 120


def test_cifar10_from_unpacked_batches(batches: Path) -> None:
    for root in (batches, batches.parent):
        check_official(registry.load("cifar10", root=root, largest_resolution=32), batches)


def test_cifar10_from_the_archive(batches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = batches.parent / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(batches, cifar10.BATCHES)
    root = archive.rename(archive.parent.parent / archive.name).parent
    with pytest.raises(UserError, match="not the official"):
        registry.load("cifar10", root=root, largest_resolution=32)
    digest = hashlib.sha256((root / archive.name).read_bytes()).hexdigest()
    monkeypatch.setattr(cifar10, "SHA256", digest)
    check_official(registry.load("cifar10", root=root, largest_resolution=32), batches)


@pytest.fixture
def archive(batches: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The batches as the official archive."""
    path = batches.parent.parent / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.add(batches, cifar10.BATCHES)
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupted_unpacking_leaves_nothing(
    batches: Path, archive: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """It stops where all files are there, the last of them empty."""

    def half(self: tarfile.TarFile, path: str, **options: Any) -> None:
        shutil.copytree(batches, Path(path, cifar10.BATCHES))
        Path(path, cifar10.BATCHES, "test_batch").write_bytes(b"")
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", half)
        with pytest.raises((KeyboardInterrupt, MachineError)):
            registry.load("cifar10", root=archive.parent, largest_resolution=32)
    assert list(own_cache.iterdir()) == []
    check_official(registry.load("cifar10", root=archive.parent, largest_resolution=32), batches)


def test_two_processes_may_unpack_at_once(
    batches: Path, archive: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = cifar10._put

    def slower(found: Path, target: Path) -> None:
        shutil.copytree(found, target)
        put(found, target)

    monkeypatch.setattr(cifar10, "_put", slower)
    check_official(registry.load("cifar10", root=archive.parent, largest_resolution=32), batches)
    assert len(list(own_cache.glob("*batches*"))) == 1


def test_a_cache_that_cannot_be_unpacked_into_is_said_so(
    archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCALER_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written .*: choose another SCALER_CACHE"):
        registry.load("cifar10", root=archive.parent, largest_resolution=32)


PIXELS = np.zeros((20, 3072), dtype=np.uint8)
LABELS = [*range(10)] * 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "it holds no dictionary but a list"),
        (None, "it holds no dictionary but a NoneType"),
        ({}, "data"),
        ({b"data": PIXELS}, "labels"),
        ({b"data": PIXELS[:10], b"labels": LABELS}, "it has 10 images and 20 labels"),
        ({b"data": PIXELS, b"labels": LABELS[:10]}, "it has 20 images and 10 labels"),
        ({b"data": PIXELS, b"labels": [LABELS]}, "it has 20 images and 20 labels"),
        ({b"data": PIXELS[:0], b"labels": np.zeros(0, dtype=int)}, "it has 0 images"),
        ({b"data": PIXELS, b"labels": [12, *LABELS[1:]]}, "a label is not from 0 to 9"),
        ({b"data": PIXELS, b"labels": [-1, *LABELS[1:]]}, "a label is not from 0 to 9"),
        ({b"data": PIXELS, b"labels": [0.5, *LABELS[1:]]}, "labels no whole numbers"),
        ({b"data": PIXELS, b"labels": [[1], *LABELS[1:]]}, "inhomogeneous"),
        ({b"data": PIXELS.astype(int), b"labels": LABELS}, "pixels are no bytes"),
        ({b"data": PIXELS[:, 1:], b"labels": LABELS}, "reshape"),
        ({b"data": 5, b"labels": LABELS}, "reshape"),
    ],
)
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_batch_of_another_content_is_refused(batches: Path, name: str, content: object, words: str) -> None:
    (batches / name).write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=rf"{name} is not a readable CIFAR-10 batch \(.*{words}.*unpack http"):
        registry.load("cifar10", root=batches, largest_resolution=32)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02R.", b"\x80\x02h\x05.", b"\x80\xff.", b"N."])
def test_a_batch_that_is_no_pickle_is_refused(batches: Path, content: bytes) -> None:
    (batches / "data_batch_1").write_bytes(content)
    with pytest.raises(UserError, match="data_batch_1 is not a readable"):
        registry.load("cifar10", root=batches, largest_resolution=32)


def test_a_batch_file_cannot_run_code(batches: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    (batches / "data_batch_3").write_bytes(pickle.dumps({b"data": Harm()}))
    with pytest.raises(UserError, match="data_batch_3 is not a readable"):
        registry.load("cifar10", root=batches, largest_resolution=32)
    assert not (tmp_path / "harm").exists()


def test_cifar10_from_class_folders(folder: MakeFolder) -> None:
    root = folder(
        {f"{part}/{name}": 4 for part in ("train", "test") for name in cifar10.CLASSES}, size=(32, 32)
    )
    data = registry.load("cifar10", root=root, largest_resolution=32)
    assert data.name == "cifar10"
    assert data.classes == cifar10.CLASSES
    assert data.sizes["test"] == 40


def test_missing_cifar10_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz"):
        registry.load("cifar10", root=tmp_path, largest_resolution=32)


def test_a_failed_download_is_the_machines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(MachineError, match="--data-root"):
        registry.load("cifar10", largest_resolution=32)


@pytest.mark.slow
@pytest.mark.skipif(
    not (PHOTOS / "imagenette2-160").is_dir(), reason="Imagenette is not unpacked (SCALER_TEST_PHOTOS)"
)
def test_imagenette() -> None:
    data = registry.load(f"folder:{PHOTOS}/imagenette2-160", largest_resolution=40)
    assert len(data.classes) == 10
    assert data.sizes["train"] + data.sizes["validation"] == 9469
    assert data.sizes["test"] == 3925
    part = data.part("test", 40)
    first = sorted((PHOTOS / "imagenette2-160/val").glob("*/*"))[0]
    photo = Image.open(first).convert("RGB")
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    direct = photo.crop((left, top, left + side, top + side)).resize((40, 40), Image.Resampling.LANCZOS)
    assert np.abs(part.images[0].astype(int) - np.asarray(direct)).mean() < 6
