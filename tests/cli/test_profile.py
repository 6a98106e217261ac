"""``scaler profile``: its figures, its words, and wrong use."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scaler.cost import profile as profile_module
from scaler.cost.network_cost import cost
from scaler.networks.build import build
from scaler.networks.registry import base
from scaler.networks.scale import effective, scale, small
from scaler.scaling.multipliers import PUBLISHED, Multipliers
from scaler.scaling.rounding import OFFICIAL, Rounding
from tests.cli.conftest import RunCommand

Profile = Callable[..., dict[str, Any]]


@pytest.fixture
def profile(run: RunCommand) -> Profile:
    def profile_json(*arguments: str) -> dict[str, Any]:
        ended = run("profile", *arguments, "--json")
        assert (ended.code, ended.err) == (0, "")
        found: dict[str, Any] = json.loads(ended.out)
        return found

    return profile_json


def test_the_base_itself(run: RunCommand) -> None:
    printed = run("profile", "effnet-b0", "--json").out
    assert printed.startswith(
        '{"network": "effnet-b0", "resolution": 224, "params": 5288548, "flops": 401659392, '
        '"macs": 385814752, "activations": 6748036, '
    )
    found = json.loads(printed)
    assert (found["flops_ratio"], found["depth"], found["width"], found["blocks"]) == (1, 1, 1, 16)
    assert found["counted_by"] == "fvcore"


def test_for_people(run: RunCommand) -> None:
    shown = run("profile", "resnet-50")  # figures: fvcore on torchvision 0.29's
    assert shown.out.splitlines()[0] == "resnet-50 at 224 px, 1000 classes"
    assert [line.split()[:3] for line in shown.out.splitlines()[2:]] == [
        ["cost", "value", "exactly"],
        ["params", "25.6M", "25,557,032"],
        ["flops", "4.11G", "4,111,512,576"],
        ["macs", "4.09G", "4,089,184,256"],
        ["activations", "11.1M", "11,114,984"],
    ]


def test_official_rounding_gives_b3(profile: Profile) -> None:
    found = profile(
        "effnet-b0", "--width", "1.2", "--depth", "1.4", "--resolution", "300", "--rounding", "official"
    )
    b3 = cost(base("effnet-b3"))
    assert (found["params"], found["flops"], found["resolution"]) == (b3.params, b3.flops, 300)
    assert found["nominal"]["resolution"] == 300 / 224
    assert found["rounding"]["depth"] == "ceil"


def test_multipliers_and_ratio(profile: Profile) -> None:
    found = profile("resnet-20", "--depth", "1.5", "--width", "1.3", "--resolution", "1.25")
    native = base("resnet-20")
    # 16, 32 and 64 channels are narrow: multiples of 4.
    spec = scale(native, Multipliers(1.5, 1.3, 1.25), Rounding(divisor=4))
    assert found["resolution"] == 40
    assert found["flops"] == cost(spec).flops
    assert found["flops_ratio"] == cost(spec).flops / cost(native).flops
    assert (found["depth"], found["width"]) == (effective(spec, native).depth, effective(spec, native).width)
    assert found["stage_widths"] == list(spec.widths)


def test_resolution_is_pixels_from_8_on(profile: Profile) -> None:
    assert profile("resnet-20", "--resolution", "2")["resolution"] == 64
    assert profile("resnet-20", "--resolution", "7")["resolution"] == 224
    assert profile("resnet-20", "--resolution", "8")["resolution"] == 8


def test_phi(run: RunCommand, profile: Profile) -> None:
    found = profile("resnet-20", "--phi", "2", "--rounding", "official")
    assert found["flops"] == cost(scale(base("resnet-20"), PUBLISHED.at(2), OFFICIAL)).flops
    assert "published coefficients at phi = 2." in run("profile", "resnet-20", "--phi", "2").out
    found = profile("resnet-20", "--phi", "0.5", "--width", "4")
    assert found["nominal"] == {"depth": 1, "width": 2, "resolution": 1}
    assert profile("resnet-20", "--phi", "-1")["flops_ratio"] < 1


def test_classes(profile: Profile) -> None:
    assert profile("resnet-20", "--classes", "20")["params"] - profile("resnet-20")["params"] == 10 * 65


def test_strides_of_a_network_without_a_stem_are_its_bodys() -> None:
    vgg = base("vgg-16")
    said = profile_module.small_variant(small(vgg, 32), vgg)
    assert "strides reduced from 1-2-1-2-1-2-1-2-1-2 (32 in all) to 1-1-1-2-1-2-1-2 (8 in all)" in said


def test_the_small_variant_is_always_printed(run: RunCommand, profile: Profile) -> None:
    found = profile("effnet-b0", "--small", "32")
    assert found["flops"] == cost(small(base("effnet-b0"), 32)).flops
    words = "from 2 | 1-2-2-2-1-2-1 (32 in all) to 1 | 1-1-2-2-1-2-1 (8 in all); the last map is 4 x 4"
    assert words in found["variant"]
    assert words in " ".join(run("profile", "effnet-b0", "--small", "32", "--quiet").out.split())
    assert "all strides kept (4 in all)" in profile("resnet-20", "--small", "32")["variant"]


def test_small_images_scale_from_the_variant(profile: Profile) -> None:
    found = profile("effnet-b0", "--small", "32", "--resolution", "1.5")
    variant = small(base("effnet-b0"), 32)
    spec = scale(variant, Multipliers(1, 1, 1.5), Rounding())
    assert (found["resolution"], found["flops"]) == (48, cost(spec).flops)
    assert found["flops_ratio"] == cost(spec).flops / cost(variant).flops


@pytest.mark.parametrize("name", ["effnet-b0", "densenet-40-12", "vgg-16"])
def test_layers_sum_to_the_whole(profile: Profile, name: str) -> None:
    found = profile(name, "--small", "32", "--layers")
    for count in ("params", "flops", "macs", "activations"):
        assert sum(layer[count] for layer in found["layers"]) == found[count]


def test_memory_and_latency(run: RunCommand, profile: Profile) -> None:
    found = profile("resnet-20", "--memory", "--latency")
    assert found["memory"]["batch"] == 32
    assert found["memory"]["training"] > found["memory"]["inference"] > 4 * found["params"]
    assert found["latency"]["batch"] == 1
    assert 0 < found["latency"]["low"] <= found["latency"]["median"] <= found["latency"]["high"]
    shown = run("profile", "resnet-20", "--memory", "--batch", "4").out
    assert "training memory" in shown
    assert "peak with 4 images, counted" in shown


def test_too_large_for_fvcore_is_said(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    exactly = f"{cost(base('resnet-20')).flops:,}"
    monkeypatch.setattr(profile_module, "_MOST_NUMBERS", 1000)
    shown = run("profile", "resnet-20").out
    assert "closed form: too large for fvcore" in " ".join(shown.split())
    assert exactly in shown


def test_ones_own_function(profile: Profile, run: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from torch import nn\n"
        "def net(depth, width, resolution, num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, round(8 * width), 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "                         nn.Linear(round(8 * width), num_classes))\n"
        "net.base_resolution = 16\n"
    )
    found = profile(f"{file}:net", "--width", "2", "--classes", "5")
    assert found["macs"] == 27 * 16 * 14 * 14 + 16 * 5
    ended = run("profile", f"{file}:net", "--layers")
    assert ended.code == 2
    assert "blocks cannot be listed" in ended.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("effnet-b9",), "did you mean effnet-b"),
        (("effnet-b0", "--resolution", "16"), "the smallest it can take is 17 px"),
        (("effnet-b0", "--resolution", "100.5"), "whole pixels"),
        (("effnet-b0", "--resolution", "-1"), "resolution multiplier must be a positive number"),
        (("effnet-b0", "--depth", "0"), "depth multiplier must be a positive number"),
        (("effnet-b0", "--resolution", "0"), "resolution multiplier must be a positive number"),
        (("effnet-b0", "--depth", "-2", "--phi", "0.5"), "depth multiplier must be a positive number"),
        (("effnet-b0", "--phi", "1", "--resolution", "300"), "which --phi cannot raise"),
        (("effnet-b0", "--small", "32", "--resolution", "64"), "both give the pixels"),
        (("resnet-20", "--memory", "--device", "gpu"), "unknown device 'gpu'"),
        (("nosuchmodule:net",), "nosuchmodule"),
        (("nosuchfile.yaml",), "nosuchfile.yaml"),
    ],
)
def test_wrong_use_ends_in_one_sentence(run: RunCommand, line: tuple[str, ...], words: str) -> None:
    ended = run("profile", *line)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


@pytest.mark.parametrize(
    "option",
    [("--phi", "1000"), ("--depth", "1e9"), ("--classes", "0"), ("--width", "nan"), ("--depth", "two")],
)
def test_values_out_of_range_name_the_option(run: RunCommand, option: tuple[str, str]) -> None:
    ended = run("profile", "effnet-b0", *option)
    assert ended.code == 2
    assert f"'{option[0]}'" in ended.err


def test_weights_are_loaded_and_said(run: RunCommand, profile: Profile, tmp_path: Path) -> None:
    torch.save(build(base("resnet-20")).state_dict(), tmp_path / "own.pth")
    assert profile("resnet-20", "--weights", str(tmp_path / "own.pth"))["weights"]["library"] == "scaler"
    ended = run("profile", "resnet-20", "--width", "2", "--weights", str(tmp_path / "own.pth"))
    assert ended.code == 2
    assert "stem.0.0.conv.weight (16, 3, 3, 3) for (32, 3, 3, 3)" in ended.err
