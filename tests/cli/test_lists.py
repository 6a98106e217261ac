"""The lists of what there is."""

import json
from pathlib import Path

import pytest
import yaml

from scaler.cost.network_cost import cost
from scaler.data.registry import DATA
from scaler.networks.registry import FAMILIES, Family, base, bases
from scaler.networks.yaml_spec import schema
from scaler.search.spaces_directory import space_files, spaces_directory
from tests.cli.conftest import RunCommand


def test_bases_one_line_each(run: RunCommand) -> None:
    lines = run("bases").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(bases())
    assert lines[1].split() == ["effnet-b0", "efficientnet", "224", "px", "5.29M", "386M"]


def test_bases_as_json(run: RunCommand) -> None:
    rows = {row["network"]: row for row in json.loads(run("bases", "--json").out)}
    assert set(rows) == set(bases())
    assert rows["effnet-b0"]["params"] == 5288548
    assert rows["resnet-50"]["macs"] == 4089184256


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_base_says_how_it_scales(run: RunCommand, family: Family) -> None:
    spec = next(iter(family.bases()))
    shown = json.loads(run("bases", spec.name, "--json").out)
    assert (shown["about"], shown["scaling"]) == (family.ABOUT, family.SCALING)
    assert sum(stage["layers"] for stage in shown["stages"] if stage["stage"] != "stem") >= spec.depth
    text = " ".join(run("bases", spec.name).out.split())
    assert " ".join(family.SCALING.split()) in text


def test_ones_own_network_is_shown_too(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nresolution: 32\nclasses: 10\n"
        "stages:\n  - {block: plain, depth: 2, width: 8, stride: 2}\nhead: {}\n"
    )
    shown = json.loads(run("bases", str(tmp_path / "mine.yaml"), "--json").out)
    assert shown["network"] == "mine"
    assert shown["params"] == cost(base(str(tmp_path / "mine.yaml"))).params


def test_spaces_with_what_they_are_for(run: RunCommand) -> None:
    found = {row["space"]: row["about"] for row in json.loads(run("spaces", "--json").out)}
    assert {"smoke", "quick", "standard", "paper"} <= set(found)
    assert all(found.values())
    assert list(found) == sorted(path.stem for path in spaces_directory().glob("*.yaml"))
    shown = run("spaces").out
    assert all(name in shown for name in found)


def test_a_space_is_printed_as_it_is(run: RunCommand) -> None:
    text = space_files()["quick"].read_text()
    assert run("spaces", "quick").out.rstrip() == text.rstrip()
    assert json.loads(run("spaces", "quick", "--json").out) == yaml.safe_load(text)


def test_data_sets(run: RunCommand) -> None:
    assert [row["data"] for row in json.loads(run("data", "--json").out)] == list(DATA)
    shown = run("data").out
    assert all(name in shown for name in DATA)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("bases", "effnet-b00"), "did you mean effnet-b0"),
        (("bases", "resnet-5"), "resnet-50"),
        (("spaces", "quik"), "'quik'; there is quick"),
        (("spaces", "missing.yaml"), "missing.yaml"),
    ],
)
def test_unknown_names(run: RunCommand, line: tuple[str, ...], words: str) -> None:
    ended = run(*line)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: ")
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_broken_space_names_the_line(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("about: x\ngrid: [1, 2\nseeds: 3\n")
    ended = run("spaces", str(tmp_path / "broken.yaml"))
    assert ended.code == 2
    assert "broken.yaml" in ended.err
    assert "line 3" in ended.err
    (tmp_path / "text.yaml").write_text("only words")
    assert run("spaces", str(tmp_path / "text.yaml")).code == 2


def test_the_schema_of_network_files(run: RunCommand) -> None:
    shown = run("bases", "--schema")
    assert json.loads(shown.out) == schema()
    assert json.loads(run("bases", "--schema", "--json").out) == schema()


def test_a_name_that_would_be_ignored_is_refused(run: RunCommand) -> None:
    both = run("bases", "effnet-b0", "--schema")
    assert both.code == 2
    assert "--schema is of all networks, so effnet-b0 would be ignored" in " ".join(both.err.split())
