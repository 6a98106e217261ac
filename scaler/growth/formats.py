"""A grown network in the formats that others read, each checked against the module it came from."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import torch
from torch import Tensor

from scaler.errors import MachineError, UserError
from scaler.files import replacing, write_bytes
from scaler.growth.package import Packaged, Preprocessing, load_weights, save_weights
from scaler.networks.build import Network
from scaler.networks.spec_files import text_of
from scaler.networks.yaml_spec import write

#: Largest difference from the module, of the largest score or of 1.
TOLERANCE = 1e-4
#: Batches on which a file is compared with the module; the second shows that the batch is dynamic.
_BATCHES = (2, 5)
#: By which another place can be chosen, whichever was meant.
_OPTION = "--output"


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        file: where it is.
        difference: largest difference of its scores from the module's, relative to the largest score;
            None where the format holds no computation.
        snippet: Python that loads it.
    """

    file: Path
    difference: float | None
    snippet: str


def to_onnx(network: Network, preprocessing: Preprocessing, file: Path) -> Exported:
    """ONNX, run once by ONNX Runtime; labels are in the model's metadata.

    Raises:
        UserError: the packages for it are not installed, or the network cannot be written so.
        MachineError: its scores differ from the module's.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--to onnx needs the package {error.name}: pip install 'compound-scaler[onnx]'"
        ) from error
    module, example = _module(network, preprocessing)
    shapes = {"images": {0: torch.export.Dim("batch")}}
    with replacing(file, _OPTION) as beside, _converting(network, "onnx", beside):
        torch.onnx.export(
            module, (example,), beside, input_names=["images"], output_names=["scores"],
            dynamic_shapes=shapes, dynamo=True, external_data=False, verbose=False, optimize=True,
        )  # fmt: skip
        model = onnx.load(beside)
        entries = {"labels": json.dumps(preprocessing.labels), "spec": text_of(network.spec)}
        onnx.helper.set_model_props(model, entries)
        onnx.save(model, beside)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(beside, options, providers=["CPUExecutionProvider"])
        difference = _checked(
            module, lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), file
        )
    return Exported(file, difference, _ONNX.substitute(file=_text(file.name), pixels=network.spec.resolution))


def to_pt2(network: Network, preprocessing: Preprocessing, file: Path) -> Exported:
    """A program of ``torch.export``; labels lie in it as ``labels.json``.

    Raises:
        UserError: the network cannot be written so.
        MachineError: its scores differ from the module's.
    """
    module, example = _module(network, preprocessing)
    shapes = {"images": {0: torch.export.Dim("batch")}}
    with replacing(file, _OPTION) as beside, _converting(network, "pt2", beside):
        program = torch.export.export(module, (example,), dynamic_shapes=shapes)
        extra = {"labels.json": json.dumps(preprocessing.labels), "spec.yaml": text_of(network.spec)}
        torch.export.save(program, beside, extra_files=extra)
        difference = _checked(module, torch.export.load(beside).module(), file)
    return Exported(file, difference, _PT2.substitute(file=_text(file.name), pixels=network.spec.resolution))


def to_safetensors(network: Network, preprocessing: Preprocessing, file: Path) -> Exported:
    """Weights with the spec, labels and normalisation beside them.

    Raises:
        MachineError: what is read back gives other scores.
    """
    save_weights(network, preprocessing, file, _OPTION)
    module, _ = _module(network, preprocessing)
    own = None if network.spec.stages else network.spec
    difference = _checked(module, Packaged(*load_weights(file, own)).eval(), file)
    snippet = _OWN_CODE if own else _SAFETENSORS
    return Exported(file, difference, snippet.substitute(file=_text(file.name)))


def to_spec(network: Network, preprocessing: Preprocessing, file: Path) -> Exported:
    """The network as data: a YAML file that every command takes as ``--base``."""
    write_bytes(file, write(network.spec).encode(), _OPTION)
    return Exported(file, None, _SPEC.substitute(file=_text(file.name)))


def to_script(network: Network, preprocessing: Preprocessing, file: Path) -> Exported:
    """One readable file that trains the network on a folder of images."""
    template = Template((Path(__file__).parent / "training_script.txt").read_text(encoding="utf-8"))
    spec = network.spec
    name = shlex.quote(file.name)
    text = template.substitute(name=spec.name, pixels=spec.resolution, spec=write(spec).strip(), script=name)
    write_bytes(file, text.encode(), _OPTION)
    return Exported(file, None, f"python {name} --data FOLDER  # FOLDER/train/CLASS/*.jpg, val/")


#: Of specs beside those of a run, which have the base's classes.
EXPORTED = "-exported"
#: By the name that ``--to`` gives them: how they are written, and the ending of their files.
FORMATS: dict[str, tuple[Callable[[Network, Preprocessing, Path], Exported], str]] = {
    "onnx": (to_onnx, ".onnx"),
    "pt2": (to_pt2, ".pt2"),
    "safetensors": (to_safetensors, ".safetensors"),
    "spec": (to_spec, f"{EXPORTED}.yaml"),
    "script": (to_script, ".py"),
}


def _module(network: Network, preprocessing: Preprocessing) -> tuple[Packaged, Tensor]:
    """The module that is exported, in eval mode, and an example of its input."""
    return Packaged(network, preprocessing).eval(), _images(network, _BATCHES[0])


@contextlib.contextmanager
def _converting(network: Network, form: str, file: Path) -> Iterator[None]:
    """Without what converters say along the way; what they end in is one sentence, for any code may be in it.

    Raises:
        UserError: the network cannot be written in this format.
        OSError: the file cannot be written.
    """
    file.touch()  # before the work; and converters have errors of their own for a place that is not there
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")  # misses torchvision
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (UserError, MachineError, OSError):
        raise
    except Exception as error:
        raise UserError(
            f"{network.spec.name} cannot be written as {form} ({_reason(error)}); --to safetensors keeps its "
            "weights alone"
        ) from error
    finally:
        logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """The first line of what an error came from, without colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip() or type(error).__name__
    return text.splitlines()[0].strip()[:200]


def _images(network: Network, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels = network.spec.resolution
    return torch.rand(batch, 3, pixels, pixels, generator=generator)


def _checked(module: Packaged, other: Callable[[Tensor], Tensor], file: Path) -> float:
    """The largest relative difference of another's scores from the module's."""
    worst = 0.0
    for batch in _BATCHES:
        images = _images(module.network, batch)
        with torch.inference_mode():
            expected, found = module(images), other(images)
        scale = max(1.0, float(expected.abs().max()))
        worst = max(worst, float((found - expected).abs().max()) / scale)
    if not worst <= TOLERANCE:
        raise MachineError(f"{file} gives other scores than the network, by {worst:.1e}; please report it")
    return worst


def _text(name: str) -> str:
    """A file's name as Python says it."""
    return json.dumps(name, ensure_ascii=False)


_ONNX = Template("""import json, numpy, onnxruntime
session = onnxruntime.InferenceSession($file)
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
images = numpy.zeros((1, 3, $pixels, $pixels), dtype="float32")  # RGB in [0, 1]
scores = session.run(None, {"images": images})[0]""")

_PT2 = Template("""import json, torch
extra = {"labels.json": ""}
network = torch.export.load($file, extra_files=extra).module()
labels = json.loads(extra["labels.json"])
scores = network(torch.zeros(1, 3, $pixels, $pixels))  # RGB in [0, 1]""")

_SAFETENSORS = Template("""import scaler
network = scaler.load($file)  # labels, mean and std are in the file's metadata""")

_OWN_CODE = Template("""# Only its own code makes the network of $file: it is loaded from its run.
import scaler
network = scaler.load("RUN", phi=PHI, proxy=True)""")

_SPEC = Template("""from pathlib import Path
from scaler.networks.build import build
from scaler.networks.yaml_spec import read
network = build(read(Path($file)))""")
