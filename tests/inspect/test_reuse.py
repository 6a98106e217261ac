"""Weights planted between the layers of a DenseNet are found at their places."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaler.errors import UserError
from scaler.inspect.reuse import dense_blocks
from scaler.inspect.subjects import of_weights
from scaler.networks.build import Network, build
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.networks.squeeze import with_se


def strength(block: int, reader: int, source: int) -> float:
    """Planted mean absolute weight; every connection has its own."""
    return 1 + block + 0.1 * reader + 0.01 * source


def plant(weight: Tensor, block: int, reader: int, widths: list[int]) -> None:
    """Give the features of every source weights of that size, with random signs and a spread around it."""
    done = 0
    for source, width in enumerate(widths):
        part = weight[:, done : done + width]
        # Pairs above and below the strength: their mean is the strength.
        spread = torch.ones(part.numel())
        spread[::2], spread[1::2] = 1.5, 0.5
        signs = torch.randint(0, 2, (part.numel(),)) * 2.0 - 1
        part.copy_((strength(block, reader, source) * spread * signs).view_as(part))
        done += width
    assert done == weight.shape[1]


def expected(block: int, layers: int) -> NDArray[np.float64]:
    found = np.full((layers + 1, layers + 1), np.nan)
    for reader in range(layers + 1):
        for source in range(reader + 1 if reader < layers else layers + 1):
            found[reader, source] = strength(block, reader, source)
    return found


def planted(name: str, *, excited: bool = False) -> Network:
    torch.manual_seed(0)
    spec = small(base(name), 8).with_classes(4)
    network = build(with_se(spec, 4, position="pre") if excited else spec)
    with torch.no_grad():
        for block, stage in enumerate((0, 2, 4)):
            layers = list(network.get_submodule(f"stages.{stage}").children())
            depth, growth = len(layers), spec.stages[stage].width
            inner = "bottleneck.conv" if spec.stages[stage].expand else "conv"
            for index, layer in enumerate(layers):
                body = layer.get_submodule("joined") if "joined" in dict(layer.named_children()) else layer
                weight = body.get_parameter(f"branches.features.{inner}.weight")
                first = weight.shape[1] - index * growth
                plant(weight, block, index, [first] + [growth] * index)
            after = "head.classifier" if stage == 4 else f"stages.{stage + 1}.0.conv"
            plant(network.get_parameter(f"{after}.weight"), block, depth, [first] + [growth] * depth)
    return network


@pytest.mark.parametrize("name", ["densenet-40-12", "densenet-bc-100-12"])
@pytest.mark.parametrize("excited", [False, True])
def test_planted_weights_are_found(name: str, excited: bool) -> None:
    blocks = dense_blocks(planted(name, excited=excited))
    layers = base(name).stages[0].depth
    assert [block.reader for block in blocks] == ["transition", "transition", "classifier"]
    for index, block in enumerate(blocks):
        np.testing.assert_allclose(block.weights, expected(index, layers), rtol=1e-5)
        assert np.nanmax(block.relative, axis=1) == pytest.approx(1)
    row = expected(2, layers)[-1]
    assert blocks[2].share_of_last(3) == pytest.approx(row[-3:].sum() / row.sum())


def test_a_classifier_behind_larger_pooling_counts_all_its_pixels() -> None:
    spec = small(base("densenet-40-12"), 16).with_classes(4)
    network = build(replace(spec, head=replace(spec.head, pool=2)))
    stages = spec.stages
    widths = [16 + 12 * stages[0].depth * 2] + [12] * stages[4].depth
    with torch.no_grad():
        weight = network.get_parameter("head.classifier.weight")
        plant(weight.view(4, -1, 4).permute(0, 1, 2), 2, 12, widths)
    found = dense_blocks(network)[2].weights[-1]
    np.testing.assert_allclose(found, [strength(2, 12, source) for source in range(13)], rtol=1e-5)


def test_weights_with_torchvisions_names_are_read(tmp_path: Path) -> None:
    """DenseNet-121 as torchvision saves it: block 2, layer 3 reads its second source most."""
    keys = Path(__file__).parents[1] / "networks" / "keys" / "state_dict_shapes.json.gz"
    shapes = json.loads(gzip.decompress(keys.read_bytes()))["torchvision/densenet121"]["shapes"]
    state = {
        key: torch.tensor(0) if key.endswith("num_batches_tracked") else torch.full(shape, 0.01)
        for key, shape in shapes.items()
    }
    state["features.denseblock2.denselayer3.conv1.weight"][:, 128 + 32 : 128 + 64] = -0.04
    torch.save(state, tmp_path / "densenet121.pth")
    subject = of_weights("densenet-121", tmp_path / "densenet121.pth")
    blocks = dense_blocks(subject.network)
    assert [len(block.weights) for block in blocks] == [7, 13, 25, 17]
    np.testing.assert_allclose(blocks[1].weights[2, :3], [0.01, 0.01, 0.04], rtol=1e-5)
    assert blocks[3].share_of_last(4) == pytest.approx(4 / 17)


def test_a_network_without_dense_blocks_is_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match="resnet-20 has no dense blocks"):
        dense_blocks(build(base("resnet-20")))


def test_a_wrong_weight_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    torch.save(build(base("resnet-20")).state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(UserError, match=r"resnet\.pth does not fit densenet-40-12"):
        of_weights("densenet-40-12", tmp_path / "resnet.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(UserError, match=r"text\.pth is no file of weights"):
        of_weights("densenet-40-12", tmp_path / "text.pth")
