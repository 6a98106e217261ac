"""``scaler inspect`` from the command line, on a run of small networks and on weights from files."""

import base64
import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scaler.cli.main import main
from scaler.data.request import DataRequest
from scaler.growth.export import load
from scaler.networks.build import build
from scaler.networks.registry import base
from scaler.networks.yaml_spec import write
from scaler.report.page.page import REPORT
from scaler.runs import open_run
from scaler.training.device import Device
from scaler.training.evaluation import evaluate
from tests.cli.conftest import Ran

Run = Callable[..., Ran]

#: Inverted residuals with excitation, as an EfficientNet has, but few.
NETWORK = Path(__file__).parents[1] / "networks" / "example_network.yaml"
TINY = f"""
about: a test
base: {NETWORK}
grid: {{lattice: 1}}
data: digits
proxy: {{resolution: 8, width: 0.5, divisor: 1, upsample: true}}
recipe: {{epochs: 1, images: 64, batch_size: 32, validation_images: 50}}
rungs: [1]
seeds: 1
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results with the scaling ``grown``: base and four policies of a small network."""
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "tiny.yaml").write_text(TINY)
    command = [
        "scale", "--space", str(folder / "tiny.yaml"), "--phi", "1", "--seeds", "1",
        "--compare", "depth,width,resolution", "--results", str(folder / "results"),
        "--name", "grown", "--workers", "1", "--device", "cpu", "--quiet",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        # What looks inside writes a page that is there anew.
        patch.setattr("scaler.report.page.page.write_report", lambda run: run.file(REPORT).touch())
        with pytest.raises(SystemExit) as ended:
            main(command)
    assert not ended.value.code
    return folder / "results"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def drawn(path: Path) -> bool:
    """Whether a PNG is a picture and not one colour."""
    with Image.open(path) as image:
        return bool(np.asarray(image.convert("L")).std() > 5)


def test_cam_shows_every_policy_on_the_same_images(run: Run, results: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,left,top,right,bottom\n" + "".join(f"{n},2,0,6,8\n" for n in range(360)))
    done = run(
        "inspect", "cam", "grown", "--results", str(results), "--sample", "60", "--show", "3",
        "--objects", str(boxes), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    table = rows(results / "grown" / "inspect" / "cam.csv")
    assert [row["network"] for row in table[:5]] == ["base", "depth", "width", "resolution", "published"]
    assert len({row["image"] for row in table}) == 3
    assert all(0 <= float(row["probability"]) <= 1 for row in table)
    assert answer["area"] == pytest.approx(0.5)  # the boxes' own
    assert answer["verdict"] in ("holds", "contradicted", "open")
    for row in answer["focus"]:
        assert row["low"] <= row["mean"] <= row["high"]
    assert drawn(results / "grown" / "inspect" / "cam.png")
    assert drawn(results / "grown" / "inspect" / "focus.png")
    page = (results / "grown" / "report.html").read_text()
    assert "Inside: where each network looks" in page
    # The picture itself is in the page, which needs no other file.
    picture = base64.b64encode((results / "grown" / "inspect" / "cam.png").read_bytes()).decode()
    assert picture in page
    assert "the object covers 50.0 % of the image" in page


def test_cam_of_a_picture_of_ones_own(run: Run, results: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "mine.png")
    done = run(
        "inspect", "cam", "grown", "--results", str(results), "--image", str(tmp_path / "mine.png"),
        "--image", "7", "--output", str(tmp_path / "out"), "--format", "svg", "--method", "grad-cam",
    )  # fmt: skip
    assert done.code == 0, done.err
    table = rows(tmp_path / "out" / "cam.csv")
    assert {row["image"]: row["true"] for row in table}["mine.png"] == ""
    assert {row["method"] for row in table} == {"grad-cam"}
    assert (tmp_path / "out" / "cam.svg").read_text().lstrip().startswith("<?xml")


def test_excitation_and_what_dropping_costs(run: Run, results: Path, tmp_path: Path) -> None:
    done = run(
        "inspect", "excitation", "grown", "--results", str(results), "--images", "50", "--retrain",
        "--drop", "last-stage", "--seeds", "1", "--output", str(tmp_path), "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    blocks = rows(tmp_path / "excitation-blocks.csv")
    # The native network grown to phi = 1 decides what is saved, whatever the thin proxy holds.
    native = base(str(results / "grown" / "networks" / "published-phi-1.yaml"))
    with torch.device("meta"):
        held = sum(p.numel() for n, p in build(native).named_parameters() if ".se." in n)
    assert sum(int(row["params"]) for row in blocks) == held
    assert all(place.startswith("2.") for place in answer["dropped"])
    assert len(answer["excitation_retrain"]) == 1
    assert drawn(tmp_path / "excitation.png")
    channels = rows(tmp_path / "excitation-channels.csv")
    assert {row["class"] for row in channels} == {"0", "2", "5", "7", "all"}


def test_reuse_from_a_weight_file_of_scalers_own(run: Run, tmp_path: Path) -> None:
    spec = base("densenet-40-12")
    torch.save(build(spec).state_dict(), tmp_path / "dense.pt")
    (tmp_path / "dense.yaml").write_text(write(spec))
    done = run(
        "inspect", "reuse", "--base", str(tmp_path / "dense.yaml"), "--weights", str(tmp_path / "dense.pt"),
        "--last", "2", "--output", str(tmp_path),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert re.search(
        r"Block 3: the classifier gives \d+ % .* last 2 of 13 sources; evenly .* 15 %",
        " ".join(done.out.split()),
    )
    table = rows(tmp_path / "reuse.csv")
    assert len(table) == 3 * (12 * 13 // 2 + 13)
    assert drawn(tmp_path / "reuse.png")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("reuse", "grown"), r"Error: tiny-mb has no dense blocks"),
        (("cam", "none"), r"Error: there is no run 'none'"),
        (("cam", "grown", "--phi", "3"), r"no trained network at phi = 3; it has base, depth at phi = 1"),
        (("excitation", "grown", "--policy", "deep"), r"no trained network of deep at phi = 1"),
        # Of one image nothing varies: every excitation would be one to drop.
        (("excitation", "grown", "--images", "1"), r"'--images': .* greater than or equal to 2"),
        (("excitation", "grown", "--show", "ten"), r"the data have no class 'ten'; they have 0, 1"),
        (("cam", "grown", "--method", "lime"), r"--method 'lime' is none: write auto, cam, grad-cam"),
        (("cam", "grown", "--format", "gif"), r"--format 'gif' is no picture format"),
        (("cam", "grown", "--base", "vgg-16"), r"--base goes with --weights: a run has its own"),
        (("reuse", "--weights", "x.pth"), r"--weights needs --base"),
        (("reuse", "--weights", "x.pth", "--base", "densenet-121"), r"Error: there is no file x.pth"),
        (("cam", "grown", "--image", "9999"), r"there is no image 9999"),
        (("reuse", "grown", "--classes", "3"), r"--classes goes with --weights: a run has its own"),
        (
            ("reuse", "--base", "densenet-40-12", "--weights", "x.pt", "--policy", "depth"),
            r"--weights are of one network, so --policy would be ignored",
        ),
        (
            ("cam", "grown", "--image", "7", "--show", "2"),
            r"--image says which images are shown, so --show would be ignored",
        ),
        (
            ("excitation", "grown", "--drop", "last-stage"),
            r"nothing is trained without --retrain, so --drop would be ignored",
        ),
        (("cam", "grown", "--image", "²"), r"there is no image '²': give a number"),
        (("cam", "grown", "--image", ""), r"there is no image '': give a number"),
        (("excitation", "grown", "--images", "50", "--output", "/proc/in"), r"/proc/in .*another --output\."),
    ],
)
def test_wrong_use_ends_in_one_sentence(
    run: Run, results: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = run("inspect", *arguments, "--results", str(results), "--quiet")
    assert done.code == 2
    assert re.search(sentence, done.err)
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize("classes", [5, 20])
def test_a_network_of_other_classes_is_not_held_to_the_datas_labels(
    run: Run, tmp_path: Path, classes: int
) -> None:
    spec = base(str(Path(__file__).parents[1] / "growth" / "resnet_8.yaml")).with_classes(classes)
    (tmp_path / "net.yaml").write_text(write(spec))
    torch.save(build(spec).state_dict(), tmp_path / "net.pt")
    network = ("--base", str(tmp_path / "net.yaml"), "--weights", str(tmp_path / "net.pt"))
    shown = ("--resolution", "8", "--sample", "20", "--show", "2", "--output", str(tmp_path))
    done = run("inspect", "cam", *network, "--data", "digits", *shown)
    assert done.code == 0, done.err
    table = rows(tmp_path / "cam.csv")
    assert len(table) == 2
    for row in table:
        # Nobody knows the true class, so that the map is of the predicted one.
        assert row["true"] == row["probability_true"] == ""
        assert row["map_of"] == row["predicted"]


def test_objects_without_data_are_refused(run: Run, tmp_path: Path) -> None:
    spec = base(str(Path(__file__).parents[1] / "growth" / "resnet_8.yaml"))
    (tmp_path / "net.yaml").write_text(write(spec))
    torch.save(build(spec).state_dict(), tmp_path / "net.pt")
    Image.new("RGB", (30, 20)).save(tmp_path / "cat.png")
    done = run(
        "inspect", "cam", "--base", str(tmp_path / "net.yaml"), "--weights", str(tmp_path / "net.pt"),
        "--image", str(tmp_path / "cat.png"), "--objects", "boxes.csv",
    )  # fmt: skip
    assert done.code == 2
    assert "--objects boxes.csv are of images of a data set: say which by --data NAME" in done.err


def test_a_search_keeps_its_networks_on_request(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those that the search judged: on the validation images they are as good as it says."""
    for name in ("write_report", "write_page"):  # which nothing here looks at
        monkeypatch.setattr(f"scaler.report.page.page.{name}", lambda *_: None)
    plain = Path(__file__).parents[1] / "growth" / "resnet_8.yaml"
    (tmp_path / "tiny.yaml").write_text(TINY.replace(str(NETWORK), str(plain)))
    searched = ("--space", str(tmp_path / "tiny.yaml"), "--strategy", "exhaustive", "--workers", "1")
    done = run("search", *searched, "--keep-weights", "--results", str(tmp_path), "--name", "kept", "--json")
    answer = json.loads(done.out)
    data = DataRequest("digits", None, 32, True).load()
    names = {"depth-only": "depth", "width-only": "width", answer["network"]: "compound"}
    for row in rows(tmp_path / "kept" / "trials.csv"):
        point = rows(tmp_path / "kept" / "candidates.csv")[int(row["candidate"])]["network"]
        policy = names.get(point, point.removesuffix("-only"))
        network = load(tmp_path / "kept", 1, policy=policy, proxy=True)
        accuracy, _ = evaluate(network, data, "validation", network.spec.resolution, Device("cpu"), 50)
        assert accuracy == pytest.approx(float(row["accuracy"]), abs=1e-6)
    looked = run("inspect", "cam", "kept", "--results", str(tmp_path), "--show", "1", "--json")
    assert not looked.code
    assert "compound" in {row["network"] for row in rows(tmp_path / "kept" / "inspect" / "cam.csv")}
    exported = run("export", "kept", "--to", "spec", "--results", str(tmp_path))
    assert exported.err.split() == ["Search", str(tmp_path / "kept")]


def test_a_search_holds_no_trained_networks(run: Run, results: Path, tmp_path: Path) -> None:
    with open_run(tmp_path, "searched", "search", {}) as made:
        made.finish()
    done = run("inspect", "reuse", "searched", "--results", str(tmp_path))
    assert done.code == 2
    assert "holds no trained networks: look into a run of `scaler scale`" in done.err
