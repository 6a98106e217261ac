"""What a search chose is what grows, however its candidates came about and whatever is overridden later."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from scaler.cli.main import main
from scaler.errors import UserError
from scaler.growth.export import load
from scaler.growth.origin import find_search, origin_of
from scaler.search.result import COEFFICIENTS_FILE, SearchResult, read_result

BASE = Path(__file__).with_name("resnet_8.yaml")
SPACE = f"""
about: a test
grid: {{{{lattice: {{lattice}}}}}}
base: {BASE}
data: digits
proxy: {{{{resolution: 8, width: 0.3, divisor: 1, upsample: true}}}}
recipe: {{{{epochs: 1, images: 64, batch_size: 32, validation_images: 50}}}}
rungs: [1]
seeds: 1
strategy: one-seed
"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--quiet"])
    return int(ended.value.code or 0)


def search(folder: Path, *more: str, lattice: int = 1) -> SearchResult:
    """The answer of a small search; everything lies in ``folder``."""
    (folder / "space.yaml").write_text(SPACE.format(lattice=lattice))
    where = ("--space", str(folder / "space.yaml"), "--results", str(folder), "--workers", "1")
    assert run("search", "--name", "one", *where, *more) == 0
    return read_result(folder / "one")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures and no page: they are half of such a search, and nothing here looks at them."""
    for name in ("write_report", "write_page"):
        monkeypatch.setattr(f"scaler.report.page.page.{name}", lambda *_: None)


Searched = Callable[..., SearchResult]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """As :func:`search`, but with the same options it runs once, and every test has a copy of its own."""
    ran: dict[tuple[str, ...], Path] = {}

    def copied(folder: Path, *more: str) -> SearchResult:
        if more not in ran:
            made = tmp_path_factory.mktemp("searched")
            search(made, *more)
            ran[more] = made
        shutil.copytree(ran[more], folder, dirs_exist_ok=True)
        return read_result(folder / "one")

    return copied


def grown(folder: Path, *more: str) -> dict[str, str]:
    """The row of ``curve.csv`` at phi = 1 of a scaling of that search."""
    assert run("scale", "--phi", "1", "--no-train", "--results", str(folder), "--name", "grown", *more) == 0
    with (folder / "grown" / "curve.csv").open() as file:
        return next(row for row in csv.DictReader(file) if row["phi"] == "1")


def is_candidate(row: dict[str, str], folder: Path, network: str) -> bool:
    """Whether a row is the very network that the search counted under this name."""
    with (folder / "one" / "candidates.csv").open() as file:
        found = next(candidate for candidate in csv.DictReader(file) if candidate["network"] == network)
    return all(found[key] == row[key] for key in ("flops", "params", "activations", "resolution"))


@pytest.mark.parametrize(
    "limits",
    [
        (),
        ("--max-params", "90K"),  # leaves the first candidates out, so that all places move
        pytest.param(("--max-activations", "140K"), marks=pytest.mark.slow),
        pytest.param(("--base", "effnet-b0"), marks=pytest.mark.slow),
        pytest.param(("--se", "8"), marks=pytest.mark.slow),
        ("--budget", "1.5x"),
        ("--data", "fractals"),
    ],
)
def test_the_chosen_network_grows_whatever_changed_the_candidates(
    limits: tuple[str, ...], searched: Searched, tmp_path: Path
) -> None:
    result = searched(tmp_path, *limits)
    assert is_candidate(grown(tmp_path), tmp_path, result.network)


def test_limits_leave_candidates_out(searched: Searched, tmp_path: Path) -> None:
    everything, fewer = searched(tmp_path / "all"), searched(tmp_path / "few", "--max-params", "90K")
    assert fewer.policies.keys() < everything.policies.keys()
    assert next(iter(fewer.policies)) != next(iter(everything.policies))


def test_other_data_after_the_search_grow_the_same_network(searched: Searched, tmp_path: Path) -> None:
    result = searched(tmp_path)
    assert is_candidate(grown(tmp_path, "--data", "fractals"), tmp_path, result.network)


def test_another_base_after_the_search_is_no_search_of_it(
    searched: Searched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path)
    assert run("scale", "--search", "one", "--base", "effnet-b0", "--results", str(tmp_path)) == 2
    assert f"is a search of {BASE}, not of effnet-b0" in capsys.readouterr().err


def test_a_changed_space_file_does_not_change_what_grows(tmp_path: Path) -> None:
    result = search(tmp_path, lattice=2)
    (tmp_path / "space.yaml").write_text(SPACE.format(lattice=3))
    assert is_candidate(grown(tmp_path), tmp_path, result.network)


def test_policies_are_known_by_name(searched: Searched, tmp_path: Path) -> None:
    result = searched(tmp_path)
    origin = origin_of(result, "one")
    assert origin.chosen == result.policies[result.network]
    assert list(origin.known) == ["depth", "width", "resolution", "published"]
    assert origin.known["width"].native.beta == pytest.approx(math.sqrt(2), rel=0.1)
    assert result.policies["published"].native.alpha > 1
    assert result.space.grid.lattice == 1


DAMAGED = {
    "no JSON": "{",
    "a list": "[1]",
    "null": "null",
    "nothing in it": "{}",
    "an older version": json.dumps({"alpha": 1.2, "candidate": 3}),
    "a chosen policy that is not there": None,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_an_answer_that_cannot_be_read_says_what_to_do(kind: str, searched: Searched, tmp_path: Path) -> None:
    text = DAMAGED[kind]
    if text is None:
        searched(tmp_path)
        content = json.loads((tmp_path / "one" / COEFFICIENTS_FILE).read_text())
        text = json.dumps({**content, "network": "no-such"})
    (tmp_path / COEFFICIENTS_FILE).write_text(text)
    with pytest.raises(UserError, match="run `scaler search` again") as error:
        read_result(tmp_path)
    assert "\n" not in str(error.value)


def test_an_answer_reads_back_as_it_was_written(searched: Searched, tmp_path: Path) -> None:
    result = searched(tmp_path)
    run_of_it = find_search(tmp_path, None, None)
    assert run_of_it is not None
    assert read_result(run_of_it) == result == replace(result)


def test_a_search_of_another_version_is_left_alone(
    searched: Searched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path)
    record = tmp_path / "one" / "run.yaml"
    text = record.read_text().replace("schema: 3\n", "")
    record.write_text(
        "\n".join("finished: null" if line.startswith("finished:") else line for line in text.split("\n"))
    )
    where = ("--space", str(tmp_path / "space.yaml"), "--results", str(tmp_path), "--workers", "1")
    assert run("search", "--name", "one", *where) == 2
    assert "begun by another version of Scaler" in capsys.readouterr().err


def test_coefficients_of_ones_own_need_no_search(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.format(lattice=1))
    where = ("--space", str(tmp_path / "space.yaml"), "--compare", "none")
    row = grown(tmp_path, "--alpha", "1.5", "--gamma", "1.3", *where)
    assert [float(row[key]) for key in ("alpha", "beta", "gamma")] == [1.5, 1.0, 1.3]
    assert row["policy"] == "own"


def test_coefficients_of_a_search_that_moved_an_axis_back_can_be_given(tmp_path: Path) -> None:
    """As 'beta = 0.962, gamma = 1.406', which a search of resnet-20 chooses for resolution alone."""
    (tmp_path / "space.yaml").write_text(SPACE.format(lattice=1))
    where = ("--space", str(tmp_path / "space.yaml"), "--compare", "none")
    row = grown(tmp_path, "--beta", "0.962", "--gamma", "1.406", *where)
    assert [float(row[key]) for key in ("alpha", "beta", "gamma")] == [1.0, 0.962, 1.406]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--alpha", "1.01"), "nearly as it is"),
        (("--alpha", "0"), "should be greater than or equal to 0.1"),
        (
            ("--alpha", "1.5", "--beta", "0.5"),
            "alpha, beta, gamma = 1.5, 0.5, 1 are no policy: all coefficients must grow, or all shrink",
        ),
        (("--alpha", "1.5", "--search", "one"), "give one of them"),
        (("--compare", "deep"), "is no policy"),
    ],
)
def test_what_cannot_grow_is_said(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.format(lattice=1))
    space = () if "--search" in arguments else ("--space", str(tmp_path / "space.yaml"))
    assert run("scale", *space, "--results", str(tmp_path), *arguments) == 2
    assert sentence in capsys.readouterr().err


NETS = """
from torch import nn

def net(depth, width, resolution, num_classes):
    channels = round(16 * width)
    layers = [nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
    for _ in range(round(4 * depth)):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))

net.base_resolution = 8
"""


@pytest.fixture
def of_own_code(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "nets.py").write_text(NETS)
    space = SPACE.format(lattice=1).replace(str(BASE), f"{tmp_path / 'nets.py'}:net")
    (tmp_path / "space.yaml").write_text(f"{space}tolerance: 0.2\n")
    return "--space", str(tmp_path / "space.yaml"), "--results", str(tmp_path), "--workers", "1"


def test_a_network_of_ones_own_code_is_searched_grown_and_kept(
    of_own_code: tuple[str, ...], tmp_path: Path
) -> None:
    assert run("search", "--name", "one", "--keep-weights", *of_own_code) == 0
    grow = (
        "--phi",
        "1",
        "--compare",
        "none",
        "--results",
        str(tmp_path),
        "--workers",
        "1",
        "--name",
        "grown",
    )
    assert run("scale", *grow) == 0
    native, proxy = load(tmp_path / "grown", phi=1), load(tmp_path / "grown", phi=1, proxy=True)
    assert native.spec.classes == 1000
    assert proxy.spec.classes == 10
    assert run("export", str(tmp_path / "grown"), "--phi", "1", "--proxy", "--to", "pt2") == 0
    with pytest.raises(UserError, match="load it from its run"):
        load(tmp_path / "grown" / "networks" / "compound-phi-1-proxy.safetensors")


def test_weights_that_were_not_kept_are_not_promised(
    searched: Searched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path)
    where = ("--space", str(tmp_path / "space.yaml"), "--results", str(tmp_path), "--workers", "1")
    assert run("search", "--name", "one", "--keep-weights", *where) == 2
    assert "are gone" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["code", "data_fingerprint"])
def test_an_interrupted_search_goes_on_with_the_same_networks_alone(
    what: str, of_own_code: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("search", "--name", "one", *of_own_code) == 0
    if what == "code":
        (tmp_path / "nets.py").write_text(NETS.replace("ReLU", "SiLU"))
        assert run("search", "--name", "one", *of_own_code) == 2
        assert "networks_fingerprint was" in capsys.readouterr().err
    else:
        assert run("search", "--name", "one", *of_own_code) == 0


@pytest.mark.parametrize("damage", ["seeds: two", "seeds: 0", "beyond_limits: 5"])
def test_a_damaged_run_is_said(
    damage: str, searched: Searched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path)
    record = tmp_path / "one" / "run.yaml"
    run_yaml = yaml.safe_load(record.read_text())
    key, value = next(iter(yaml.safe_load(damage).items()))
    place = run_yaml["configuration"] if key == "beyond_limits" else run_yaml["configuration"]["space"]
    place[key] = value
    record.write_text(yaml.safe_dump({**run_yaml, "finished": None}))
    where = ("--space", str(tmp_path / "space.yaml"), "--results", str(tmp_path), "--workers", "1")
    assert run("search", "--dry-run", *where) == 2
    assert str(record) in capsys.readouterr().err
