"""A new family is one file and one line in the registry."""

from pathlib import Path

import pytest
import torch

from scaler.cost.counting import count
from scaler.cost.network_cost import cost
from scaler.networks import registry
from scaler.networks.build import build
from scaler.networks.scale import scale, small
from scaler.networks.squeeze import with_se
from scaler.registry import Registry
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

FILE = """
from scaler.networks.spec import Head, NetworkSpec, Stage

ABOUT = "a toy"
SCALING = "depth multiplies blocks, width channels"


def bases():
    yield NetworkSpec(
        name="toy-1",
        family="toy",
        stem=(Stage("plain", 1, 16, stride=2),),
        stages=(Stage("basic", 1, 16), Stage("bottleneck", 2, 64, stride=2, expand=0.5, group_width=8)),
        head=Head(),
        resolution=64,
        classes=7,
    )
"""


def test_a_toy_family_takes_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toy_families"
    package.mkdir()
    (package / "toy.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "FAMILIES", Registry("family", "toy_families", {"toy": "toy"}))

    spec = registry.base("toy-1")
    grown = scale(with_se(spec), Multipliers(2, 1.3, 1.2), Rounding())
    assert cost(grown) == count(grown)
    assert grown.depths == (2, 4)
    assert build(small(spec, 16))(torch.randn(2, 3, 16, 16)).shape == (2, 7)
