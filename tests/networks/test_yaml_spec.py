"""Networks as YAML files: they round trip, and what is wrong is told with line and key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks import yaml_spec
from scaler.networks.registry import base, bases
from scaler.networks.scale import scale
from scaler.networks.spec import NetworkSpec, SqueezeExcite, Stage
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding

EXAMPLE = Path(__file__).parent / "example_network.yaml"

SMALL = """\
name: tiny
resolution: 32
stem:
  - {block: plain, width: 16}
stages:
  - {block: mbconv, width: 16}
  - {block: mbconv, depth: 2, width: 24, stride: 2, expand: 4, se: {reduction: 4}}
head: {width: 64}
"""


def test_the_example_is_what_it_says() -> None:
    spec = base(str(EXAMPLE))
    assert (spec.name, spec.family, spec.resolution, spec.classes) == ("tiny-mb", "user", 32, 10)
    assert spec.stages[2] == Stage("mbconv", 2, 40, 2, 5, 4.0, se=SqueezeExcite(4))
    assert spec.style.norm_eps == 1e-3
    larger = scale(spec, Multipliers(2, 1.5), Rounding())
    assert cost(larger).flops > 3 * cost(spec).flops


@pytest.mark.parametrize("name", bases())
def test_every_base_round_trips(name: str) -> None:
    spec = bases()[name]
    assert yaml_spec.parse(yaml_spec.write(spec), "text") == spec


def test_scaled_networks_round_trip() -> None:
    spec = scale(base("effnet-b0"), Multipliers(1.37, 0.81, 1.21), Rounding()).with_classes(7)
    text = yaml_spec.write(spec)
    assert yaml_spec.parse(text, "text") == spec
    assert "fixed" not in text, "defaults are left out"


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("expand: 4", "expnd: 4", 7, ["stages.1.expnd", "did you mean 'expand'"]),
        ("reduction: 4", "reducton: 4", 7, ["stages.1.se.reducton", "did you mean 'reduction'"]),
        ("stages:", "stags:", 5, ["'stags'", "did you mean 'stages'"]),
        ("{width: 64}", "{wdth: 64}", 8, ["head.wdth", "did you mean 'width'"]),
        ("block: plain", "block: plane", 4, ["stem.0.block", "'plain'", "not 'plane'"]),
        ("width: 24", "width: wide", 7, ["stages.1.width", "integer", "not 'wide'"]),
        ("width: 24", "width: 24.5", 7, ["stages.1.width", "24.5"]),
        ("width: 24", "width: true", 7, ["stages.1.width"]),
        ("depth: 2", "depth: 0", 7, ["stages.1.depth", "greater than or equal to 1"]),
        ("width: 24, ", "", 7, ["stages.1", "to 0 channels"]),
        (
            "block: mbconv, width: 16",
            "block: inception_v1, branches: [8, 8]",
            6,
            ["stages.0", "branches [8, 8]"],
        ),
        ("resolution: 32", "resolution: 0", 2, ["resolution", "greater than or equal to 1"]),
        ("name: tiny\n", "", 1, ["'name'", "required"]),
        ("resolution: 32", "resolution: [32", 3, ["mend the YAML"]),
    ],
)
def test_errors_name_line_and_key(tmp_path: Path, old: str, new: str, line: int, told: list[str]) -> None:
    assert old in SMALL
    file = tmp_path / "net.yaml"
    file.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        base(str(file))
    message = str(caught.value)
    assert f"{file}, line {line}" in message
    assert all(part in message for part in told), message
    assert "\n" not in message


def test_a_network_too_deep_for_its_images_is_told(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(SMALL.replace("resolution: 32", "resolution: 1"))
    with pytest.raises(UserError, match=r"line 7, key 'stages\.1': .*smallest it can take is 2 px"):
        base(str(file))


def test_a_missing_file_is_told() -> None:
    with pytest.raises(UserError, match=r"no file .*nowhere\.yaml"):
        base("nowhere.yaml")


def test_the_schema_describes_every_field() -> None:
    found = yaml_spec.schema()
    assert set(found["properties"]) == {field.name for field in fields(NetworkSpec)}
    stage = found["$defs"]["Stage"]["properties"]
    assert set(stage) == {field.name for field in fields(Stage)}
    assert "mbconv" in stage["block"]["enum"]
    for kind in (found, *found["$defs"].values()):
        assert kind["additionalProperties"] is False
        for name, about in kind["properties"].items():
            assert about.get("description"), name
    assert set(found["required"]) == {"name", "resolution", "stages"}


def test_the_smallest_images_are_those_that_all_stages_take() -> None:
    halving = "  - {block: plain, width: 8, stride: 2}\n" * 8
    text = f"name: deep\nresolution: 32\nstages:\n{halving}"
    with pytest.raises(UserError, match=r"line 9, key 'stages\.5': .*smallest it can take is 129 px"):
        yaml_spec.parse(text, "deep.yaml")
    assert yaml_spec.parse(text.replace("32", "129"), "deep.yaml").depth == 8
