"""The networks that are looked into: trained proxies of a run, or weights from a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaler.data.batches import Normalisation, normalisation
from scaler.data.dataset import DataSet
from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.growth.export import load
from scaler.growth.ladder import as_told
from scaler.growth.policies import COMPOUND, OWN, PUBLISHED_NAME, SINGLE
from scaler.growth.specs import FOLDER
from scaler.networks.build import Network, build
from scaler.networks.registry import base
from scaler.networks.spec import NetworkSpec
from scaler.networks.spec_files import read
from scaler.networks.weights import load_weights
from scaler.runs import Run
from scaler.search.candidates.proxy_base import native_base
from scaler.search.workload import space_of
from scaler.training.recipe import Recipe

#: Mean and deviation of ImageNet's images, by which torchvision and most of timm prepare theirs, in bytes.
IMAGENET = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

#: Base, single dimensions, compound: the order of figure 7 in Tan & Le (2019).
ORDER = ("base", "d1_w8_r1", *SINGLE, PUBLISHED_NAME, OWN, COMPOUND)

_PROXY = "-proxy"


@dataclass(frozen=True)
class Subject:
    """A trained network.

    Attributes:
        name: the policy that a network of a run was grown by, or the name of the base.
        network: in eval mode, on the CPU.
        native: the network in whose place this one was trained; its own spec without one.
        library: whose weights they are; empty if a run's.
    """

    name: str
    network: Network
    native: NetworkSpec
    library: str = ""

    @property
    def resolution(self) -> int:
        """Of the images it takes, in pixels."""
        return self.network.spec.resolution

    def statistics(self, data: DataSet | None) -> Normalisation:
        """Mean and deviation of the images that it was trained on.

        Raises:
            UserError: Scaler trained it, and the data are not known.
        """
        if self.library not in ("", "scaler"):
            return IMAGENET
        if data is None:
            raise UserError(f"Scaler trained {self.name} on images of some data set: say which with --data")
        return normalisation(data.part("train", self.resolution))


def prepared(images: NDArray[np.uint8], statistics: Normalisation) -> Tensor:
    """Images ``uint8 [N, R, R, 3]`` as a network takes them: ``float32 [N, 3, R, R]``."""
    pixels = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    mean = torch.tensor(statistics.mean).view(1, 3, 1, 1)
    return (pixels - mean) / torch.tensor(statistics.std).view(1, 3, 1, 1)


# --- networks of a run -----------------------------------------------------------------------------------


def of_run(
    run: Run, *, phi: float | None = None, policies: Sequence[str] | None = None, with_base: bool = False
) -> list[Subject]:
    """Trained networks of a run, in the order of figure 7.

    Args:
        run: of ``scaler scale``, or of ``scaler search --keep-weights``.
        phi: of the networks; None is the one that most policies have, the largest of several.
        policies: which; None is all there are.
        with_base: the base as well, first.

    Raises:
        UserError: the run holds no trained networks, or not those asked for.
    """
    there = _trained(run)
    chosen = _common_phi(there) if phi is None else as_told(phi)
    # The base belongs to every policy; a run of phi = 0 has nothing else.
    found = sorted({policy for policy, own in there if own == chosen}, key=_place)
    wanted = found if policies is None else list(policies)
    if missing := [policy for policy in wanted if policy not in found]:
        raise UserError(
            f"{run.path} has no trained network of {missing[0]} at phi = {chosen:g}; it has {_listed(there)}"
        )
    if not wanted:
        raise UserError(f"{run.path} has no trained network at phi = {chosen:g}; it has {_listed(there)}")
    if with_base and chosen != 0 and ("base", 0.0) in there:
        wanted = ["base", *wanted]
    return [_subject(run, policy, 0.0 if policy == "base" else chosen) for policy in wanted]


def _trained(run: Run) -> list[tuple[str, float]]:
    """Policy and phi of every network whose proxy was trained."""
    names = [file.stem.removesuffix(_PROXY) for file in (run.path / FOLDER).glob(f"*{_PROXY}.yaml")]
    if not names:
        raise UserError(
            f"{run.path} holds no trained networks: look into a run of `scaler scale` (without --no-train), "
            "or of `scaler search --keep-weights`"
        )
    split = [(name, "phi", "0") if name == "base" else name.rpartition("-phi-") for name in sorted(names)]
    return [(policy, float(phi)) for policy, _, phi in split]


def _common_phi(there: Sequence[tuple[str, float]]) -> float:
    phis = [phi for _, phi in there]
    return max(set(phis), key=lambda phi: (phi != 0, phis.count(phi), abs(phi)))


def _place(policy: str) -> tuple[int, str]:
    return (ORDER.index(policy) if policy in ORDER else len(ORDER), policy)


def _listed(there: Sequence[tuple[str, float]]) -> str:
    return ", ".join(policy if phi == 0 else f"{policy} at phi = {phi:g}" for policy, phi in there)


def _subject(run: Run, policy: str, phi: float) -> Subject:
    name = "base" if phi == 0 else f"{policy}-phi-{phi:g}"
    network = load(run.path, phi, policy=policy, proxy=True)
    return Subject(policy, network, read(run.path / FOLDER / f"{name}.yaml"))


def run_data(
    run: Run, subjects: Sequence[Subject], *, root: Path | None = None, skip_unreadable: bool = False
) -> DataSet:
    """The images that a run's networks were trained on.

    Raises:
        UserError: they cannot be read, or they are others than those of the run.
    """
    space = space_of(run)
    largest = max(subject.resolution for subject in subjects)
    data = DataRequest(space.data, root, largest, space.proxy.upsample, skip_unreadable).load()
    if data.fingerprint != run.configuration.get("data_fingerprint"):
        raise UserError(
            f"{space.data} holds other images than {run.path} was trained on: "
            "give their folder as --data-root, or scale again"
        )
    return data


# --- weights from a file ---------------------------------------------------------------------------------


def of_weights(
    name: str, file: Path, *, classes: int | None = None, resolution: int | None = None
) -> Subject:
    """A base network with the weights of a file from torchvision, timm or Scaler.

    Args:
        name: of the base, or a YAML file.
        file: the weights.
        classes: that the network tells; None is as many as the base has.
        resolution: of the images, in pixels; None is the base's own.

    Raises:
        UserError: there is no such base, or the weights are not its.
    """
    spec = base(name)
    spec = spec.with_classes(classes) if classes else spec
    spec = replace(spec, resolution=resolution) if resolution else spec
    network = build(spec)
    loaded = load_weights(network, file)
    return Subject(network.spec.name, network.eval(), network.spec, loaded.library)


# --- either ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Which networks, and which images: those of a run, or the user's own.

    Attributes:
        run: of ``scaler scale``; without one ``base`` and ``weights`` say what to look into.
        base, weights, classes, resolution: as in :func:`of_weights`.
        data: name of the data set; a run has its own.
        root: where it lies.
        skip_unreadable: leave out images that cannot be read.
    """

    run: Run | None = None
    base: str | None = None
    weights: Path | None = None
    classes: int | None = None
    resolution: int | None = None
    data: str | None = None
    root: Path | None = None
    skip_unreadable: bool = False

    def networks(
        self, phi: float | None = None, policies: Sequence[str] | None = None, *, with_base: bool = False
    ) -> list[Subject]:
        """The networks; raises as :func:`of_run` and :func:`of_weights`."""
        if self.run is not None:
            return of_run(self.run, phi=phi, policies=policies, with_base=with_base)
        if self.base is None or self.weights is None:
            raise UserError("say what to look into: a run of `scaler scale`, or --base and --weights")
        return [of_weights(self.base, self.weights, classes=self.classes, resolution=self.resolution)]

    def images(self, subjects: Sequence[Subject]) -> DataSet | None:
        """The images, if there is a data set.

        Raises:
            UserError: it cannot be read.
        """
        if self.run is not None:
            return run_data(self.run, subjects, root=self.root, skip_unreadable=self.skip_unreadable)
        if self.data is None:
            return None
        largest = max(subject.resolution for subject in subjects)
        return DataRequest(self.data, self.root, largest, True, self.skip_unreadable).load()

    @property
    def grown_from(self) -> NetworkSpec | None:
        """The base of a run at its own size, trained or not; None without a run, or if its file is gone."""
        if self.run is None:
            return None
        with suppress(UserError):
            return native_base(space_of(self.run))
        return None

    @property
    def recipe(self) -> Recipe:
        """How a run's networks were trained.

        Raises:
            UserError: the networks are of no run.
        """
        if self.run is None:
            raise UserError("--retrain trains the proxy of a run again: name a run of `scaler scale`")
        return space_of(self.run).recipe
