"""The unit of work, on a machine that is not quite like the leader's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.execution.protocol import TrialSpec
from scaler.execution.proxy_training import ProxyTraining
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.training.recipe import Recipe

DIGITS = DataRequest("digits", None, 8)


def training(folder: Path) -> ProxyTraining:
    network = small(base("resnet-20"), 8)
    fingerprint = DIGITS.load().fingerprint
    recipe = Recipe(epochs=1, images=32, batch_size=32, validation_images=20)
    return ProxyTraining((network,), recipe, (1,), DIGITS, 0, "cpu", folder, fingerprint)


def test_other_data_than_the_runs_are_refused(tmp_path: Path) -> None:
    other = replace(training(tmp_path), fingerprint="of other images")
    with pytest.raises(
        UserError, match=r"has other data for 'digits' than the run \(fingerprint .* not of other"
    ):
        other(TrialSpec(0, 0, 0))
    assert not list(tmp_path.iterdir())


def test_images_that_changed_since_another_run_are_seen(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    request, found = DataRequest(f"folder:{tmp_path / 'photos'}", None, 8), []
    for count in (6, 7):
        for name in ("a", "b"):
            file = tmp_path / "photos" / "train" / name / f"{count}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = noise.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(file.with_stem(f"{count}-{index}"))
        work = replace(training(tmp_path / str(count)), request=request)
        work = replace(work, recipe=Recipe(epochs=1), fingerprint=request.load().fingerprint)
        found.append(work(TrialSpec(0, 0, 0))[-1].images)
    assert found == [8, 16]  # of 12 and 26, less a fifth of each class for the test, and of the rest


def test_epochs_are_told_once_their_checkpoint_is_there(tmp_path: Path) -> None:
    spec, work = TrialSpec(0, 0, 0), training(tmp_path)
    there: list[tuple[int, bool]] = []
    work(spec, lambda epochs: there.append((epochs, work.checkpoint(spec).exists())))
    assert there == [(1, True)]
