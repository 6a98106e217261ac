from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.data.batches import Batches, Normalisation, normalisation, subset
from scaler.data.dataset import Part

PLAIN = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def numbered(count: int, side: int) -> Part:
    """Images whose pixels carry image, row and column."""
    images = np.zeros((count, side, side, 3), dtype=np.uint8)
    images[..., 0] = np.arange(count)[:, None, None]
    images[..., 1] = np.arange(side)[:, None]
    images[..., 2] = np.arange(side)
    return Part(images, np.arange(count, dtype=np.int64))


def shown(
    batches: Batches, seed: int, epoch: int, **augmentation: Any
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All batches of an epoch."""
    crops = batches.crops(seed, epoch, **augmentation)
    return (batches.cut(crops, slice(step, step + 1)) for step in range(len(crops)))


def test_an_epoch_does_not_depend_on_those_before() -> None:
    batches = Batches(numbered(10, 8), 4, PLAIN)
    for _ in shown(batches, 3, 0):
        pass
    after = list(shown(batches, 3, 1))
    alone = list(shown(Batches(numbered(10, 8), 4, PLAIN), 3, 1))
    assert all(
        torch.equal(a, b)
        for left, right in zip(after, alone, strict=True)
        for a, b in zip(left, right, strict=True)
    )
    other = next(iter(shown(batches, 4, 1)))
    assert not torch.equal(other[0], alone[0][0])


def test_training_leaves_out_a_partial_batch_and_evaluation_does_not() -> None:
    batches = Batches(numbered(10, 8), 4, PLAIN)
    assert [len(labels) for _, labels in shown(batches, 0, 0)] == [4, 4]
    assert (len(batches), batches.images) == (2, 8)
    assert [len(labels) for _, labels in batches.evaluation()] == [4, 4, 2]
    single = Batches(numbered(3, 8), 4, PLAIN)
    assert [len(labels) for _, labels in shown(single, 0, 0)] == [3]
    assert (len(single), single.images) == (1, 3)


def test_labels_belong_to_their_images_and_no_image_comes_twice() -> None:
    batches = Batches(numbered(12, 8), 4, PLAIN)
    seen = []
    for images, labels in shown(batches, 0, 0):
        assert (images[:, 0] == labels[:, None, None]).all()
        seen += labels.tolist()
    assert sorted(seen) == list(range(12))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), side=st.integers(4, 20), flip=st.booleans(), shift=st.floats(0, 0.5))
def test_crops_against_padding_one_image_at_a_time(seed: int, side: int, flip: bool, shift: float) -> None:
    """Every augmented image is a window of the reflected image, mirrored or not, within the allowed shift."""
    part = numbered(6, side)
    reach = round(shift * side)
    images, labels = next(iter(shown(Batches(part, 6, PLAIN), seed, 0, flip=flip, shift=shift)))
    padded = np.pad(part.images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    for image, label in zip(images.numpy(), labels.tolist(), strict=True):
        windows = [
            window
            for row in range(2 * reach + 1)
            for column in range(2 * reach + 1)
            for crop in [padded[label, row : row + side, column : column + side]]
            for window in ([crop, crop[:, ::-1]] if flip else [crop])
        ]
        assert any(np.array_equal(image.transpose(1, 2, 0), window) for window in windows)


def test_all_resolutions_share_order_flips_and_relative_shifts() -> None:
    """Where the columns start, in parts of the side, agrees to within a pixel."""
    small = list(shown(Batches(numbered(64, 16), 16, PLAIN), 1, 0, shift=0.125))
    large = list(shown(Batches(numbered(64, 64), 16, PLAIN), 1, 0, shift=0.125))
    shifts = []
    for (coarse, left), (fine, right) in zip(small, large, strict=True):
        assert torch.equal(left, right)
        middle, fine_middle = coarse[:, 1:, 7:9, 7:9].mean((2, 3)), fine[:, 1:, 31:33, 31:33].mean((2, 3))
        assert (((middle + 0.5) / 16 - (fine_middle + 0.5) / 64).abs() <= 0.5 / 16 + 0.5 / 64).all()
        shifts.append((fine_middle - 31.5) / 64)
        mirrored = coarse[:, 2, 0, 4] > coarse[:, 2, 0, 11]
        assert torch.equal(mirrored, fine[:, 2, 0, 16] > fine[:, 2, 0, 47])
        assert 0 < mirrored.sum() < 16
    assert 0.05 < torch.cat(shifts).abs().max() <= 0.125


def test_batches_are_normalised_and_channels_last() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
    part = Part(images, np.zeros(40, dtype=np.int64))
    statistics = normalisation(part)
    np.testing.assert_allclose(statistics.mean, images.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(statistics.std, images.std(axis=(0, 1, 2)))
    ((batch, _),) = Batches(part, 40, statistics).evaluation()
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(batch.mean((0, 2, 3)), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(batch.std((0, 2, 3), unbiased=False), np.ones(3), atol=1e-5)


def test_a_constant_channel_is_not_divided_by_zero() -> None:
    part = Part(np.zeros((2, 4, 4, 3), dtype=np.uint8), np.zeros(2, dtype=np.int64))
    ((batch, _),) = Batches(part, 2, normalisation(part)).evaluation()
    assert (batch == 0).all()


def test_the_images_are_a_view_of_the_part() -> None:
    part = numbered(4, 8)
    batches = Batches(part, 4, PLAIN)
    part.images[0] = 200
    ((batch, _),) = batches.evaluation()
    assert (batch[0] == 200).all()


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6), seed=st.integers(0, 99), data=st.data())
def test_subsets_are_even_over_the_classes_and_nested(
    sizes: list[int], seed: int, data: st.DataObject
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    images = data.draw(st.integers(1, len(labels)))
    rows = subset(labels, images, seed)
    counts = np.bincount(labels[rows], minlength=len(sizes))
    assert len(rows) == len(set(rows.tolist())) == images
    # As even as the classes' sizes allow: who has fewer than the most has all its images or one fewer.
    assert all(count >= min(size, counts.max() - 1) for count, size in zip(counts, sizes, strict=True))
    assert set(subset(labels, images // 2, seed)) <= set(rows) or images < 2


@pytest.mark.parametrize("images", [0, 10, 11])
def test_no_limit_gives_all_images(images: int) -> None:
    assert subset(np.zeros(10, dtype=np.int64), images, 0).tolist() == list(range(10))
