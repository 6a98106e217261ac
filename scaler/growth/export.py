"""Networks out of a run: specs as YAML, trained proxies as safetensors, and both back in Python.

``networks/NAME.yaml`` is the network at its own size, to be trained in earnest; ``NAME-proxy.yaml`` and
``NAME-proxy.safetensors`` are the small one that was trained in its place. ``preprocessing.json`` holds the
labels and the normalisation of the data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scaler.data.dataset import DataSet
from scaler.errors import UserError
from scaler.execution.protocol import Observation, TrialSpec
from scaler.execution.proxy_training import ProxyTraining
from scaler.growth.formats import EXPORTED, FORMATS, Exported
from scaler.growth.package import Preprocessing, load_weights, read_preprocessing, save_weights
from scaler.growth.policies import COMPOUND, OWN, PUBLISHED_NAME
from scaler.growth.scale_up import ScaleUp
from scaler.growth.specs import FOLDER
from scaler.networks.build import Network, build
from scaler.networks.spec import NetworkSpec
from scaler.networks.spec_files import read, text_of
from scaler.runs import Run, load_run
from scaler.search.session import Session
from scaler.search.workload import Workload

PREPROCESSING = "preprocessing.json"
#: The network that grows; it belongs to every policy.
BASE = "base"


@dataclass(frozen=True)
class Kept:
    """A network whose files a run keeps.

    Attributes:
        name: of its files: ``base``, or policy and phi.
        native: at its own size.
        proxy: trained in its place.
        training: number among the run's networks.
    """

    name: str
    native: NetworkSpec
    proxy: NetworkSpec
    training: int


def export_networks(run: Run, scale_up: ScaleUp, training: ProxyTraining | None) -> None:
    """Write every network of a scaling, and the weights of its proxy (first seed) if it was trained.

    Raises:
        MachineError: the disk is full.
    """
    grown = [Kept(n.name, n.native.spec, n.proxy.spec, n.training) for n in scale_up.networks]
    _keep(run, grown, scale_up.work, scale_up.proxy.base.resolution, training)


def keep_searched(
    run: Run, session: Session, chosen: int, seen: Sequence[Observation], training: ProxyTraining
) -> None:
    """Write the base and every candidate whose first seed a search trained to the end, with weights.

    Candidates lie at phi = 1. The chosen one's policy is ``compound``, as in a scaling; single dimensions are
    called as there, others by their own names.

    Raises:
        MachineError: the disk is full.
    """
    problem, last = session.problem, len(session.work.experiment.rungs) - 1
    whole = {o.candidate for o in seen if (o.seed_index, o.rung, o.state) == (0, last, "complete")}
    kept = problem.candidates.kept
    networks = [
        Kept(f"{_policy(c.point.name, i == chosen)}-phi-1", c.native.spec, c.proxy.spec, i)
        for i, c in enumerate(kept)
    ]
    networks += [
        Kept(BASE, problem.native.base, problem.proxy.base, len(kept) + i)
        for i, network in enumerate(session.off_budget)
        if not any(network.octaves)
    ]
    _keep(
        run,
        [n for n in networks if n.training in whole],
        session.work,
        problem.proxy.base.resolution,
        training,
    )


def _policy(point: str, chosen: bool) -> str:
    return COMPOUND if chosen else point.removesuffix("-only")


def _keep(
    run: Run, networks: Sequence[Kept], work: Workload, resolution: int, training: ProxyTraining | None
) -> None:
    """Write networks, and weights where there was a training.

    Weights state the normalisation that they were trained with, that of images of their own resolution;
    networks at their own size, which nobody trained, that of images of ``resolution``.
    """
    from scaler.training.checkpoint import load_if_whole
    from scaler.training.trainer import prepared, trained

    recipe, data = work.space.recipe, work.data
    run.write_json(f"{FOLDER}/{PREPROCESSING}", asdict(_trained_on(data, resolution)))
    for kept in networks:
        run.write_text(f"{FOLDER}/{kept.name}.yaml", text_of(kept.native))
        weights = run.file(f"{FOLDER}/{kept.name}-proxy.safetensors")
        # A run that is done has dropped its checkpoints; its weights are there already.
        if training is None or weights.is_file():
            continue
        checkpoint = training.checkpoint(TrialSpec(kept.training, 0, 0))
        if load_if_whole(checkpoint) is None:
            raise UserError(
                f"the weights of {kept.name} are gone: {checkpoint} was removed when the run was done, or is "
                "damaged; train again under another --name to keep them"
            )
        spec = prepared(kept.proxy, recipe, data)
        run.write_text(f"{FOLDER}/{kept.name}-proxy.yaml", text_of(spec))
        network = trained(spec, recipe, data, checkpoint)
        save_weights(network, _trained_on(data, spec.resolution), weights)


def _trained_on(data: DataSet, resolution: int) -> Preprocessing:
    """Labels, and the statistics of the training images at a resolution."""
    from scaler.data.batches import normalisation

    counts = normalisation(data.part("train", resolution))
    mean, std = ((a / 255, b / 255, c / 255) for a, b, c in (counts.mean, counts.std))
    return Preprocessing(data.classes, mean, std)


def load(
    run: str | Path, phi: float | None = None, *, policy: str | None = None, proxy: bool = False
) -> Network:
    """A network of a scaling, or of a file of weights, as :func:`scaler.load` says.

    Raises:
        UserError: the run holds no such network, or the file no weights that Scaler wrote.
    """
    path = Path(run)
    if path.suffix == ".safetensors":
        return load_weights(path)[0]
    if phi is None:
        raise UserError(f"which network of {path}? give its phi, such as load({str(path)!r}, phi=1)")
    folder = load_run(path).path / FOLDER
    name = network_name(folder, phi, policy)
    if proxy:
        return load_weights(folder / f"{name}-proxy.safetensors", _spec(folder, f"{name}-proxy"))[0]
    return build(_spec(folder, name))


def export(
    run: Run, phi: float, to: str, *, policy: str | None = None, proxy: bool = False, file: Path | None = None
) -> Exported:
    """Write a network of a scaling in another format, checked against the module.

    The network at its own size gets the data's classes and fresh weights.

    Args:
        run: the scaling.
        phi, policy, proxy: which network, as in :func:`load`.
        to: a name in :data:`~scaler.growth.formats.FORMATS`.
        file: where to; None is the run's folder of networks.

    Raises:
        UserError: there is no such network or format, or a package is not installed.
        MachineError: what was written gives other scores.
    """
    if to not in FORMATS:
        raise UserError(f"--to {to!r} is no format: write one of {', '.join(FORMATS)}")
    written, ending = FORMATS[to]
    folder = run.path / FOLDER
    name = network_name(folder, phi, policy)
    if proxy:
        stem = f"{name}-proxy"
        network, preprocessing = load_weights(folder / f"{stem}.safetensors", _spec(folder, stem))
    else:
        stem, preprocessing = name, _preprocessing(folder)
        spec = _spec(folder, name)
        network = build(spec.with_classes(len(preprocessing.labels) or spec.classes)).eval()
    return written(network, preprocessing, file or folder / f"{stem}{ending}")


def network_name(folder: Path, phi: float, policy: str | None) -> str:
    """The name that a network's files have."""
    return BASE if phi == 0 else f"{policy or _chosen(folder)}-phi-{phi:g}"


def _preprocessing(folder: Path) -> Preprocessing:
    """The data's labels and normalisation; none for a run from before they were kept."""
    try:
        return read_preprocessing(json.loads((folder / PREPROCESSING).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return Preprocessing(())


def _chosen(folder: Path) -> str:
    """The policy that the run was made for: what the search chose, the user's own, or the published one."""
    names = (COMPOUND, OWN, PUBLISHED_NAME)
    return next((name for name in names if any(folder.glob(f"{name}-phi-*.yaml"))), COMPOUND)


def _spec(folder: Path, name: str) -> NetworkSpec:
    path = folder / f"{name}.yaml"
    if not path.is_file():
        others = ("-proxy", EXPORTED)
        there = sorted(file.stem for file in folder.glob("*.yaml") if not file.stem.endswith(others))
        listed = ", ".join(there) or "no network"
        raise UserError(f"{folder.parent} holds no network {name}; it holds {listed}")
    return read(path)
