"""Networks out of a scaling: specs as YAML, trained proxies as state dicts, and both back in Python.

``networks/NAME.yaml`` is the network at its own size, to be trained in earnest; ``NAME-proxy.yaml`` and
``NAME-proxy.pt`` are the small one that was trained in its place.
"""

from __future__ import annotations

from pathlib import Path

from scaler.errors import UserError
from scaler.execution.protocol import TrialSpec
from scaler.execution.proxy_training import ProxyTraining
from scaler.files import replacing
from scaler.growth.policies import COMPOUND, OWN, PUBLISHED_NAME
from scaler.growth.scale_up import ScaleUp
from scaler.networks.build import Network, build
from scaler.networks.spec import NetworkSpec
from scaler.networks.yaml_spec import read, write
from scaler.runs import Run, load_run

FOLDER = "networks"


def export_networks(run: Run, scale_up: ScaleUp, training: ProxyTraining | None) -> None:
    """Write every network of a scaling, and the weights of its proxy (first seed) if it was trained.

    Raises:
        MachineError: the disk is full.
    """
    import torch

    from scaler.training.trainer import prepared, trained

    recipe, data = scale_up.work.space.recipe, scale_up.work.data
    for grown in scale_up.networks:
        run.write_text(f"{FOLDER}/{grown.name}.yaml", write(grown.native.spec))
        # A run that is done has dropped its checkpoints; its weights are there already.
        if training is None or (run.path / FOLDER / f"{grown.name}-proxy.pt").is_file():
            continue
        spec = prepared(grown.proxy.spec, recipe, data)
        run.write_text(f"{FOLDER}/{grown.name}-proxy.yaml", write(spec))
        network = trained(spec, recipe, data, training.checkpoint(TrialSpec(grown.training, 0, 0)))
        with replacing(run.file(f"{FOLDER}/{grown.name}-proxy.pt")) as beside:
            torch.save(network.state_dict(), beside)


def load(run: str | Path, phi: float, *, policy: str | None = None, proxy: bool = False) -> Network:
    """A network of a scaling, ready to use.

    Args:
        run: directory of the run, e.g. ``results/effnet-b0-phi-4``.
        phi: of the network.
        policy: how it was grown; None is the run's chosen policy.
        proxy: the small network that was trained, with its weights, in eval mode; otherwise the network
            at its own size with fresh weights, in train mode.

    Raises:
        UserError: the run holds no such network.
    """
    folder = load_run(Path(run)).path / FOLDER
    name = "base" if phi == 0 else f"{policy or _chosen(folder)}-phi-{phi:g}"
    spec = _spec(folder, f"{name}-proxy" if proxy else name)
    network = build(spec)
    if not proxy:
        return network
    import torch

    weights = torch.load(folder / f"{name}-proxy.pt", weights_only=True, map_location="cpu")
    network.load_state_dict(weights)
    network.eval()
    return network


def _chosen(folder: Path) -> str:
    """The policy that the run was made for: what the search chose, the user's own, or the published one."""
    names = (COMPOUND, OWN, PUBLISHED_NAME)
    return next((name for name in names if any(folder.glob(f"{name}-phi-*.yaml"))), COMPOUND)


def _spec(folder: Path, name: str) -> NetworkSpec:
    path = folder / f"{name}.yaml"
    if not path.is_file():
        there = sorted(file.stem for file in folder.glob("*.yaml") if not file.stem.endswith("-proxy"))
        listed = ", ".join(there) or "no network"
        raise UserError(f"{folder.parent} holds no network {name}; it holds {listed}")
    return read(path)
