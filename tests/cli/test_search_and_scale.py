"""The main job from the command line, on the smallest space that still does everything."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import scaler
from scaler.cli.main import main
from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.growth.package import load_weights

BASE = Path(__file__).parents[1] / "growth" / "resnet_8.yaml"
TINY = f"""
about: a test
base: {BASE}
grid: {{lattice: 1}}
data: digits
proxy: {{resolution: 8, width: 0.3, divisor: 1, upsample: true}}
recipe: {{epochs: 2, images: 130, batch_size: 64, validation_images: 100}}
rungs: [1, 2]
seeds: 2
strategy: halving
"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def by_name(path: Path, network: str) -> dict[str, str]:
    return next(row for row in rows(path) if row["network"] == network)


def without_times(path: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows(path)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main-job")
    (folder / "tiny.yaml").write_text(TINY)
    return folder


def search(here: Path, *more: str) -> Sequence[str]:
    return (
        "search",
        "--space",
        str(here / "tiny.yaml"),
        "--results",
        str(here / "results"),
        "--workers",
        "1",
        *more,
    )


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures and no page, for tests that run a command and look at other files."""
    for name in ("write_report", "write_page"):
        monkeypatch.setattr(f"scaler.report.page.page.{name}", lambda *_: None)


@pytest.fixture(scope="module")
def searched(here: Path) -> Path:
    assert run(*search(here, "--name", "one", "--quiet")) == 0
    return here / "results" / "one"


@pytest.fixture(scope="module")
def scaled(here: Path, searched: Path) -> Path:
    results = ("--results", str(here / "results"), "--workers", "1", "--quiet", "--name", "grown")
    assert run("scale", "--phi", "1", "--compare", "depth,width,resolution", *results) == 0
    return here / "results" / "grown"


def test_a_search_leaves_its_files(searched: Path) -> None:
    assert {"run.yaml", "study.log", "candidates.csv", "trials.csv", "coefficients.json"} <= {
        file.name for file in searched.iterdir()
    }
    assert not (searched / "checkpoints").exists()
    assert (searched / "triangle.png").read_bytes().startswith(b"\x89PNG")


def test_candidates_say_both_sizes(searched: Path) -> None:
    table = rows(searched / "candidates.csv")
    assert [row["network"] for row in table] == ["depth-only", "width-only", "resolution-only", "published"]
    for row in table:
        assert float(row["flops_ratio"]) == pytest.approx(2, rel=0.03)
        assert float(row["proxy_flops_ratio"]) == pytest.approx(2, rel=0.03)
        assert row["feasible"] == "True"


def test_trials_hold_every_rung(searched: Path) -> None:
    table = rows(searched / "trials.csv")
    assert {(row["candidate"], row["seed_index"]) for row in table if row["rung"] == "0"} >= {
        (str(c), "0") for c in range(4)
    }
    assert all(row["state"] == "complete" for row in table)
    assert all(int(row["images"]) == 128 * int(row["epochs"]) for row in table)


def test_coefficients_are_those_of_the_chosen_candidate(searched: Path) -> None:
    found = json.loads((searched / "coefficients.json").read_text())
    chosen = by_name(searched / "candidates.csv", found["network"])
    assert found["alpha"] == pytest.approx(float(chosen["alpha"]), rel=1e-4)
    low, high = found["intervals"]["alpha"]
    assert low <= found["alpha"] <= high
    assert found["proxy"]["images"] == 128  # whole batches


@pytest.mark.usefixtures("no_report")
def test_the_same_seed_gives_the_same_search(here: Path, searched: Path) -> None:
    assert run(*search(here, "--name", "two", "--quiet")) == 0
    assert without_times(here / "results" / "two" / "trials.csv") == without_times(searched / "trials.csv")


def test_the_same_name_with_another_configuration_is_refused(
    here: Path, searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (searched / "trials.csv").read_bytes()
    assert run(*search(here, "--name", "one", "--seed", "7")) == 2
    assert "another configuration (seed was 0, now 7)" in capsys.readouterr().err
    assert (searched / "trials.csv").read_bytes() == before


@pytest.mark.usefixtures("no_report")
def test_json_stands_alone_on_stdout(here: Path, searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*search(here, "--name", "one", "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["network"] == json.loads((searched / "coefficients.json").read_text())["network"]


def test_a_dry_run_trains_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*search(here, "--name", "dry", "--dry-run")) == 0
    assert not (here / "results" / "dry").exists()
    assert "published" in capsys.readouterr().out


def test_scale_takes_the_newest_search_and_says_so(scaled: Path, searched: Path) -> None:
    table = rows(scaled / "curve.csv")
    assert [row["network"] for row in table][:2] == ["base", "compound-phi-1"]
    chosen = json.loads((searched / "coefficients.json").read_text())
    assert float(table[1]["alpha"]) == pytest.approx(chosen["alpha"], rel=1e-4)
    assert {row["policy"] for row in table} == {"compound", "depth", "width", "resolution"}
    assert all(row["seeds"] == "2" and row["accuracy"] for row in table)


def test_a_shared_network_is_trained_once_and_differs_from_itself_by_nothing(scaled: Path) -> None:
    table = rows(scaled / "curve.csv")
    trained = {row["candidate"] for row in rows(scaled / "trials.csv")}
    assert trained == {row["training"] for row in table} == {"0", "1", "2", "3"}
    compound = table[1]
    twin = next(row for row in table[2:] if row["training"] == compound["training"])
    assert twin["accuracy"] == compound["accuracy"]
    assert twin["difference"] == ""
    for row in table[2:]:
        if row is not twin:
            gap = float(row["accuracy"]) - float(compound["accuracy"])
            assert float(row["difference"]) == pytest.approx(gap, abs=1e-5)
            assert float(row["difference_low"]) <= gap <= float(row["difference_high"])


def test_every_policy_has_the_same_flops_native_and_as_proxy(scaled: Path) -> None:
    for row in rows(scaled / "curve.csv")[1:]:
        assert float(row["flops_ratio"]) == pytest.approx(2, rel=0.03)
        assert float(row["proxy_ratio"]) == pytest.approx(2, rel=0.03)


@pytest.mark.usefixtures("no_report")
def test_a_finished_scaling_may_be_run_again(scaled: Path, here: Path) -> None:
    before = (scaled / "curve.csv").read_bytes()
    again = ("--results", str(here / "results"), "--workers", "1", "--quiet", "--name", "grown")
    assert run("scale", "--phi", "1", "--compare", "depth,width,resolution", "--search", "one", *again) == 0
    assert (scaled / "curve.csv").read_bytes() == before


@pytest.mark.usefixtures("no_report")
def test_what_was_measured_stays_in_a_scaling_that_is_run_again(scaled: Path, here: Path) -> None:
    curve = scaled / "curve.csv"
    before = curve.read_text()
    head, *others = before.splitlines()
    measured = [f"{head},latency_ms,device", *(f"{line},{place}.5,cpu" for place, line in enumerate(others))]
    curve.write_text("\n".join(measured) + "\n")
    again = ("--results", str(here / "results"), "--workers", "1", "--quiet", "--name", "grown")
    assert run("scale", "--phi", "1", "--compare", "depth,width,resolution", "--search", "one", *again) == 0
    found = [(float(row["latency_ms"]), row["device"]) for row in rows(curve)]
    curve.write_text(before)
    assert found == [(place + 0.5, "cpu") for place in range(len(others))]


def test_phi_one_is_the_candidate_that_was_chosen(scaled: Path, searched: Path) -> None:
    found = json.loads((searched / "coefficients.json").read_text())
    chosen = by_name(searched / "candidates.csv", found["network"])
    grown = rows(scaled / "curve.csv")[1]
    assert [grown[key] for key in ("flops", "macs", "params", "activations", "resolution")] == [
        chosen[key] for key in ("flops", "macs", "params", "activations", "resolution")
    ]


def test_networks_come_back_in_python(scaled: Path) -> None:
    grown = rows(scaled / "curve.csv")[1]
    native = scaler.load(scaled, phi=1)
    assert sum(p.numel() for p in native.parameters()) == int(grown["params"])
    assert native.spec.resolution == int(grown["resolution"])
    proxy = scaler.load(str(scaled), phi=1, proxy=True)
    images = torch.rand(2, 3, proxy.spec.resolution, proxy.spec.resolution)
    assert proxy(images).shape == (2, 10)
    assert torch.equal(proxy(images), scaler.load(scaled, phi=1, proxy=True)(images))
    with pytest.raises(UserError, match="no network compound-phi-3"):
        scaler.load(scaled, phi=3)


@pytest.mark.usefixtures("no_report")
def test_real_costs_are_columns_and_objectives(
    here: Path, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaler.cost.latency._MOST", 5)  # passes: that there is a time is enough
    results = ("--results", str(here / "results"), "--quiet")
    command = ("scale", "--phi", "0", "--no-train", "--compare", "none", "--measure", "--name", "costs")
    assert run(*command, *results, "--workers", "1") == 0
    (row,) = rows(here / "results" / "costs" / "curve.csv")
    assert float(row["memory_training"]) > float(row["memory_inference"]) > 4 * int(row["params"])
    assert float(row["latency_ms"]) > 0
    assert row["device"] == "cpu"
    assert run("pareto", "costs", "--objectives", "params,latency,memory", *results) == 0


@pytest.mark.slow
def test_pareto_measures_what_nobody_has_measured(
    here: Path, searched: Path, scaled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = ("--results", str(here / "results"), "--output", str(here / "measured.csv"), "--json")
    command = (
        "pareto",
        "one",
        "grown",
        "--objectives",
        "memory,latency,params",
        "--measure",
        "--device",
        "cpu",
    )
    assert run(*command, *results) == 0
    capsys.readouterr()
    table = rows(here / "measured.csv")
    assert {row["run"] for row in table} == {"one", "grown"}
    for row in table:
        assert float(row["memory_training"]) > float(row["memory_inference"]) > 4 * int(row["params"])
        assert float(row["latency_ms"]) > 0
        assert row["device"] == "cpu"
    # The same network of a search and of a scaling takes the same memory.
    chosen = json.loads((searched / "coefficients.json").read_text())["network"]
    (own,) = (row for row in table if row["network"] == chosen)
    (same,) = (row for row in table if row["network"] == "compound-phi-1")
    assert own["memory_training"] == same["memory_training"]
    least = min(table, key=lambda row: float(row["memory_training"]))
    assert least["on_front"] == "True"
    assert run("pareto", "one", "--objectives", "accuracy,latency", *results) == 2
    assert "no column for the objective 'latency'" in capsys.readouterr().err


def test_a_finished_scaling_has_a_page_and_a_law_refuses_what_it_does_not_know(
    scaled: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "grows from" in (scaled / "report.html").read_text()
    results = ("--results", str(here / "results"), "--name", "grown")
    assert run("scale", "--predict", "2x", *results) == 2
    assert "3 networks of different cost at least" in capsys.readouterr().err


def onnx_session(file: Path) -> Any:
    return pytest.importorskip("onnxruntime").InferenceSession(file)


def test_a_grown_network_is_exported(scaled: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript")
    results = ("--results", str(here / "results"), "--json")
    for form, ending in {
        "onnx": "onnx",
        "pt2": "pt2",
        "safetensors": "safetensors",
        "spec": "yaml",
        "script": "py",
    }.items():
        file = here / f"grown.{ending}"
        command = ("export", "grown", "--phi", "1", "--to", form, "--proxy", "--output", str(file))
        assert run(*command, *results) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["file"] == str(file)
        assert file.stat().st_size > 0
        if form in ("spec", "script"):
            assert found["difference"] is None
        else:
            assert found["difference"] <= 1e-4
    proxy, session = scaler.load(scaled, phi=1, proxy=True), onnx_session(here / "grown.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == [str(n) for n in range(10)]
    mean, std = (t.reshape(3, 1, 1) for t in statistics_of_digits(proxy.spec.resolution))
    images = torch.rand(3, 3, proxy.spec.resolution, proxy.spec.resolution)
    (scores,) = session.run(None, {"images": images.numpy()})
    with torch.inference_mode():
        assert torch.allclose(torch.from_numpy(scores), proxy((images - mean) / std), atol=1e-4, rtol=1e-4)
    assert scaler.load(here / "grown.safetensors").spec == proxy.spec
    assert run("profile", str(here / "grown.yaml"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["params"] == sum(p.numel() for p in proxy.parameters())
    assert run("export", "grown", "--phi", "1", "--to", "gif", *results) == 2
    assert run("export", "grown", "--phi", "7", *results) == 2
    assert "holds no network compound-phi-7" in capsys.readouterr().err


def statistics_of_digits(pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of every channel, in [0, 1], of the training images at a resolution."""
    images = DataRequest("digits", None, pixels, upsample=True).load().part("train", pixels).images / 255
    mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)


def test_weights_state_the_normalisation_of_their_own_resolution(scaled: Path) -> None:
    resolutions = set()
    for file in (scaled / "networks").glob("*.safetensors"):
        network, stated = load_weights(file)
        mean, std = statistics_of_digits(network.spec.resolution)
        assert torch.allclose(torch.tensor(stated.mean), mean, atol=1e-6)
        assert torch.allclose(torch.tensor(stated.std), std, atol=1e-6)
        resolutions.add(network.spec.resolution)
    assert len(resolutions) > 1


def test_pareto_of_a_scaling(scaled: Path, here: Path) -> None:
    assert run("pareto", "grown", "--results", str(here / "results"), "--quiet") == 0
    table = rows(scaled / "pareto.csv")
    assert sum(row["on_front"] == "True" for row in table) >= 1


@pytest.mark.usefixtures("no_report")
def test_scale_without_a_search_uses_the_published_coefficients(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("scale", "--phi", "0.5,1", "--no-train", "--compare", "none", "--results", str(tmp_path)) == 0
    assert "published coefficients 1.2, 1.1, 1.15" in capsys.readouterr().err
    (folder,) = tmp_path.iterdir()
    table = rows(folder / "curve.csv")
    assert [float(row["phi"]) for row in table] == [0.5, 1.0]
    assert float(table[1]["alpha"]) == 1.2
    assert table[1]["accuracy"] == ""


def test_the_bases_own_flops_are_the_base_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = ("--no-train", "--compare", "none", "--dry-run", "--json", "--results", str(tmp_path))
    assert run("scale", "--flops", "40.9M", "--base", "resnet-20", "--space", "smoke", *counted) == 0
    printed = capsys.readouterr()
    assert [row["network"] for row in json.loads(printed.out)["networks"]] == ["base"]
    assert "1 network is counted, none is trained" in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("search", "--base", "effnet-b9"), "did you mean effnet-b"),
        (("search", "--budget", "1x"), "is what the base itself costs"),
        (("search", "--budget", "400M"), "is what effnet-b0 (402M FLOPs) itself costs"),
        (("search", "--budget", "plenty"), "cannot read the budget 'plenty'"),
        (("search", "--space", "no-such"), "unknown search space 'no-such'"),
        (("search", "--data", "mnist"), "fractals"),
        (("search", "--data", "folder:/nowhere"), "/nowhere"),
        (("search", "--strategy", "guess"), "guess"),
        (("search", "--device", "tpu"), "unknown device 'tpu'"),
        (("scale", "--phi", "four"), "cannot read --phi 'four'"),
        (("scale", "--search", "nothing-here"), "nothing-here"),
        (("scale", "--phi", "99"), "beyond"),
        (("scale", "--path", "law", "--alpha", "1.2"), "--path law and --alpha, --beta, --gamma both say"),
        (("scale", "--path", "law", "--space", "smoke"), "--path law and --space both say where"),
    ],
)
def test_wrong_use_ends_in_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--results", str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert error.strip().splitlines()[-1].startswith("Error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("grid: {lattice: 1}", "grid: {latice: 1}", "line 4, key 'grid.latice'"),
        ("seeds: 2", "seeds: two", "line 9, key 'seeds'"),
        ("rungs: [1, 2]", "rungs: [2, 1]", "rungs must be ascending"),
        ("rungs: [1, 2]", "rungs: [1, 3]", "make them equal"),
        ("batch_size: 64", "batch_size: 64, optimiser: muon", "learning_rate is 0.4, and at most 0.3"),
        ("batch_size: 64", "batch_size: 64, optimiser: adam", "'sgd' or 'muon'"),
        ("about: a test", "about: [", "line"),
        ("strategy: halving", "stratgy: halving", "did you mean 'strategy'?"),
    ],
)
def test_a_broken_space_names_line_and_key(
    old: str, new: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(TINY.replace(old, new))
    assert run("search", "--space", str(path), "--results", str(tmp_path / "results")) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert str(path) in error
    assert not (tmp_path / "results").exists()
