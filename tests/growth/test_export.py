"""Networks in other formats, against the modules that they came from, and the training script."""

import json
import logging
import runpy
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import scaler
from scaler.errors import UserError
from scaler.growth.export import export
from scaler.growth.formats import FORMATS, Exported, to_safetensors, to_script
from scaler.growth.package import Packaged, Preprocessing, load_weights
from scaler.networks.build import Network, build
from scaler.networks.registry import base
from scaler.networks.scale import scale, small
from scaler.networks.spec_files import read, text_of
from scaler.runs import Run
from scaler.scaling.multipliers import PUBLISHED
from scaler.scaling.rounding import Rounding

#: Few blocks, which is quick to trace, with every kind of step that a resnet-20 has.
SMALL = str(Path(__file__).with_name("resnet_8.yaml"))
LABELS = Preprocessing(("ant", "bee", "cow"), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def a_network(name: str = "effnet-b0", phi: float = 0.0, pixels: int = 32, seed: int = 0) -> Network:
    """A small-image network whose norms have seen something, so that eval mode is no identity."""
    torch.manual_seed(seed)
    spec = scale(small(base(name), pixels).with_classes(3), PUBLISHED.at(phi), Rounding())
    network = build(spec)
    network.train()
    with torch.no_grad():
        network(torch.randn(8, 3, spec.resolution, spec.resolution))
    return network.eval()


def expected(network: Network, images: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(getattr(LABELS, k)).reshape(3, 1, 1) for k in ("mean", "std"))
    with torch.inference_mode():
        scores: torch.Tensor = network((images - mean) / std)
    return scores


@pytest.mark.parametrize(
    ("name", "phi"), [("effnet-b0", 0), ("effnet-b0", 2), ("se-resnet-50", 0), ("densenet-121", 0)]
)
@pytest.mark.slow
def test_all_formats_give_the_modules_scores(name: str, phi: float, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    check_formats(written(a_network(name, phi), tmp_path))


@dataclass(frozen=True)
class Written:
    """A network and its files ``n.*`` in a folder, with what was said of them, by format."""

    network: Network
    folder: Path
    exported: dict[str, Exported]


@pytest.fixture(scope="module")
def small_one(tmp_path_factory: pytest.TempPathFactory) -> Written:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    return written(a_network(SMALL, pixels=8), tmp_path_factory.mktemp("small"))


def written(network: Network, folder: Path) -> Written:
    """The network in all formats but the script, which has a test of its own."""
    assert set(FORMATS) == {"onnx", "pt2", "safetensors", "spec", "script"}
    forms = {name: FORMATS[name] for name in ("onnx", "pt2", "safetensors", "spec")}
    return Written(
        network,
        folder,
        {name: write(network, LABELS, folder / f"n{ending}") for name, (write, ending) in forms.items()},
    )


def test_all_formats_give_the_scores_of_a_small_one(small_one: Written) -> None:
    check_formats(small_one)


def check_formats(given: Written) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    network, folder = given.network, given.folder
    pixels = network.spec.resolution
    for batch in (1, 3):
        images = torch.rand(batch, 3, pixels, pixels)
        wanted = expected(network, images)
        bound = 1e-4 * max(1.0, float(wanted.abs().max()))
        if batch == 1:
            session = onnxruntime.InferenceSession(folder / "n.onnx")
            extra = {"labels.json": ""}
            program = torch.export.load(folder / "n.pt2", extra_files=extra).module()
            weights = Packaged(*load_weights(folder / "n.safetensors"))
        (scores,) = session.run(None, {"images": images.numpy()})
        assert np.abs(scores - wanted.numpy()).max() <= bound
        with torch.inference_mode():
            assert float((program(images) - wanted).abs().max()) <= bound
            assert torch.equal(weights(images), Packaged(network, LABELS)(images))
    props = session.get_modelmeta().custom_metadata_map
    assert json.loads(props["labels"]) == json.loads(extra["labels.json"]) == ["ant", "bee", "cow"]


def test_weights_travel_with_their_network(tmp_path: Path) -> None:
    network = a_network(SMALL, pixels=8)
    to_safetensors(network, LABELS, tmp_path / "n.safetensors")
    again, preprocessing = load_weights(tmp_path / "n.safetensors")
    assert preprocessing == LABELS
    assert again.spec == network.spec
    images = torch.rand(2, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(scaler.load(tmp_path / "n.safetensors")(images), network(images))


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_file_of_weights_is_said(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "n.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError, match="holds no weights that Scaler wrote"):
        scaler.load(file)
    with pytest.raises(UserError, match="was the network trained"):
        scaler.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("field", "text"),
    [("labels", "5"), ("labels", '"abc"'), ("mean", "[0.1]"), ("mean", "[NaN, 0, 0]"), ("std", "[0, 1, 1]")],
)
def test_labels_and_normalisation_that_are_none_are_said(field: str, text: str, tmp_path: Path) -> None:
    file = to_safetensors(a_network(SMALL, pixels=8), LABELS, tmp_path / "n.safetensors").file
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    save_file(load_file(file), file, {**metadata, field: text})
    with pytest.raises(UserError, match=rf"holds no weights that Scaler wrote: {field}") as told:
        scaler.load(file)
    assert "pydantic" not in str(told.value)


def a_folder_of_images(folder: Path) -> None:
    noise = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for label, colour in (("dark", 40), ("light", 200)):
            (folder / part / label).mkdir(parents=True)
            for index in range(count):
                pixels = noise.integers(colour, colour + 50, (20 + index, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / label / f"{index}.png")


def test_the_script_trains_on_a_folder_and_its_weights_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_folder_of_images(tmp_path / "data")
    script = to_script(a_network(SMALL, pixels=16), LABELS, tmp_path / "train.py").file
    short = ("--steps", "3", "--batch", "4", "--workers", "0", "--device", "cpu", "--output", "out")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), "--data", "data", *short])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert "12 training images of 2 classes at 16 px" in printed
    assert "validation accuracy" in printed
    network = scaler.load(tmp_path / "out" / "best.safetensors")
    assert network.spec.classes == 2
    assert torch.isfinite(network(torch.zeros(1, 3, 16, 16))).all()


def test_the_script_turns_photos_as_their_tag_says(tmp_path: Path) -> None:
    script = to_script(a_network(SMALL, pixels=16), LABELS, tmp_path / "train.py").file
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for folder, stored, orientation in (("as-seen", pixels, 1), ("as-held", pixels[::-1, ::-1], 3)):
        (tmp_path / folder / "a").mkdir(parents=True)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        Image.fromarray(stored).save(tmp_path / folder / "a" / "1.png", exif=exif)
    images = runpy.run_path(str(script))["Images"]
    seen, held = (images(tmp_path / folder, ["a"], 16, False)[0][0] for folder in ("as-seen", "as-held"))
    assert torch.equal(seen, held)


def test_every_format_has_a_snippet_that_runs_to_the_modules_scores(
    small_one: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_one.folder)
    network, images = small_one.network, torch.zeros(1, 3, 8, 8)
    wanted = expected(network, images)
    for name, exported in small_one.exported.items():
        left: dict[str, Any] = {}
        exec(compile(exported.snippet, name, "exec"), left)
        if name in ("onnx", "pt2"):  # images in [0, 1], labels inside
            scores = torch.as_tensor(left["scores"]).detach()
            assert float((scores - wanted).abs().max()) <= 1e-4 * max(1.0, float(wanted.abs().max()))
            assert tuple(left["labels"]) == LABELS.labels
        if name == "safetensors":
            with torch.inference_mode():
                assert torch.equal(left["network"](images), network(images))
        if name == "spec":
            assert left["network"].spec == network.spec


def test_snippets_take_files_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = a_network(SMALL, pixels=8)
    for to, file in ((to_safetensors, 'my "net" ñ.safetensors'), (FORMATS["spec"][0], 'my "net" ñ.yaml')):
        left: dict[str, Any] = {}
        exec(compile(to(network, LABELS, tmp_path / file).snippet, file, "exec"), left)
        assert left["network"].spec == network.spec
    script = to_script(network, LABELS, tmp_path / "my train.py")
    assert shlex.split(script.snippet, comments=True) == ["python", "my train.py", "--data", "FOLDER"]
    assert script.file.read_text().startswith(f'"""Train {network.spec.name} at 8 px on a folder')


def test_weights_may_be_read_by_whoever_may_read_the_network(tmp_path: Path) -> None:
    network = a_network(SMALL, pixels=8)
    weights = to_safetensors(network, LABELS, tmp_path / "n.safetensors").file
    spec = FORMATS["spec"][0](network, LABELS, tmp_path / "n.yaml").file
    assert weights.stat().st_mode == spec.stat().st_mode


def test_what_the_exporter_misses_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnxscript")
    FORMATS["onnx"][0](a_network(SMALL, pixels=8), LABELS, tmp_path / "n.onnx")
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert logging.getLogger("torch.onnx._internal.exporter._registration").level == logging.NOTSET


def test_the_networks_of_a_run_stay_what_they_are(tmp_path: Path) -> None:
    run, spec = Run(tmp_path, "scale", {}), base(SMALL)
    own = run.write_text("networks/published-phi-1.yaml", text_of(spec))
    run.write_json("networks/preprocessing.json", asdict(LABELS))
    exported = export(run, 1, "spec")
    assert read(exported.file) == spec.with_classes(3)
    assert read(own) == spec != spec.with_classes(3)
    with pytest.raises(UserError, match=r"it holds published-phi-1$"):
        export(run, 7, "spec")


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_another_place_is_chosen_by_output(form: str, tmp_path: Path) -> None:
    if form == "onnx":
        pytest.importorskip("onnxscript")
    write, ending = FORMATS[form]
    for file in (tmp_path / "none" / f"n{ending}", tmp_path):
        with pytest.raises(UserError, match=r"cannot be written .*: choose another --output"):
            write(a_network(SMALL, pixels=8), LABELS, file)
    assert not list(tmp_path.iterdir())


OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)

    def forward(self, x):
        return self.last(self.conv(x).mean((2, 3)))

class Choosy(Net):
    def forward(self, x):
        if self.conv(x).sum().item() > 1e6:
            return -super().forward(x)
        return super().forward(x)

class Fussy(Net):
    def forward(self, x):
        if type(x).__name__ != "Tensor" or x.shape[0] != 2:
            raise KeyError("two at a time\\nand no more")
        return super().forward(x)

def net(depth, width, resolution, num_classes): return Net(num_classes)
def choosy(depth, width, resolution, num_classes): return Choosy(num_classes)
def fussy(depth, width, resolution, num_classes): return Fussy(num_classes)
net.base_resolution = choosy.base_resolution = fussy.base_resolution = 8
"""


def own_network(folder: Path, name: str) -> Network:
    """A network that is the user's own code."""
    (folder / "own.py").write_text(OWN)
    return build(base(f"{folder / 'own.py'}:{name}").with_classes(3)).eval()


@pytest.mark.parametrize(("form", "name"), [("onnx", "choosy"), ("pt2", "choosy"), ("pt2", "fussy")])
def test_code_that_cannot_be_exported_is_one_sentence(form: str, name: str, tmp_path: Path) -> None:
    if form == "onnx":
        pytest.importorskip("onnxscript")
    network = own_network(tmp_path, name)
    with pytest.raises(UserError, match=rf"^own-{name} cannot be written as {form} \(.+\); --to") as raised:
        FORMATS[form][0](network, LABELS, tmp_path / "n.out")
    assert len(str(raised.value).splitlines()) == 1
    assert not list(tmp_path.glob("*n*.out"))


def test_weights_of_own_code_are_loaded_from_their_run(tmp_path: Path) -> None:
    exported = to_safetensors(own_network(tmp_path, "net"), LABELS, tmp_path / "n.safetensors")
    assert exported.difference == 0
    compile(exported.snippet, "snippet", "exec")
    assert 'scaler.load("RUN", phi=PHI, proxy=True)' in exported.snippet
    with pytest.raises(UserError, match="only its own code makes: load it from its run"):
        scaler.load(exported.file)
