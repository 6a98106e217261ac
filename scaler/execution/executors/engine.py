"""Which executor runs the trainings: this machine, or a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scaler.errors import UserError
from scaler.execution.executors.executor import Executor, TrainTrial
from scaler.execution.executors.in_process import InProcess
from scaler.execution.executors.many_devices import ManyDevices
from scaler.execution.executors.processes import Processes
from scaler.execution.executors.training import SharedTraining
from scaler.execution.protocol import TrialSpec

#: The least part of a GPU, and the most GPUs, that a training can be given.
LEAST_PART, MOST_DEVICES = 0.01, 64


@dataclass(frozen=True)
class Engine:
    """Where trainings run.

    Attributes:
        name: of the engine.
        ray_address: of the cluster's head, ``auto`` for the one that this machine belongs to; None starts
            Ray on this machine.
        gpus_per_training: a part of a GPU, which several trainings share; or a whole number of devices
            (GPUs, or cores of a CPU) that train each network together. None is one device, or the part of
            a GPU that a calibration finds.
        checkpoints: URL of a store for those of trainings under way, for nodes that share no folder.

    Raises:
        UserError: ``gpus_per_training`` is neither, or there are no nodes for ``checkpoints``.
    """

    name: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    gpus_per_training: float | None = None
    checkpoints: str | None = None

    def __post_init__(self) -> None:
        asked = self.gpus_per_training
        whole = asked is not None and float(asked).is_integer()
        if asked is not None and not (LEAST_PART <= asked <= (MOST_DEVICES if whole else 1)):
            raise UserError(
                f"--gpus-per-training {asked:g} is neither a part of a GPU ({LEAST_PART} to 1) nor a whole "
                f"number of devices (2 to {MOST_DEVICES}): write 0.25 for four trainings on a GPU, 2 for one "
                "training on two."
            )

        if self.checkpoints is not None and self.name == "local":
            raise UserError(
                "--checkpoints is for nodes that share no folder: leave it out, or add --engine ray."
            )

    @property
    def devices(self) -> int:
        """Devices that train each network together."""
        return max(1, int(self.gpus_per_training or 1))

    @property
    def share(self) -> float:
        """The part of a device, or the number of them, that a training takes."""
        return self.gpus_per_training or 1.0


def start(engine: Engine, training: SharedTraining, device: str, workers: int | None) -> Executor:
    """An executor of this engine.

    Args:
        engine: where trainings run.
        training: the unit of work.
        device: as on the command line.
        workers: the most trainings at a time; None is as many as a cluster has places for.

    Raises:
        UserError: Ray is missing, or its cluster cannot be reached.
    """
    devices = engine.devices
    work = training if devices == 1 else ManyDevices(training, devices)
    if engine.name == "local":
        return local(work, device, workers or 1, devices)
    from scaler.execution.executors.on_ray import OnRay
    from scaler.execution.executors.store import Store

    gpus = engine.share if device != "cpu" else 0.0
    store = None
    if engine.checkpoints is not None:
        run = training.checkpoint(TrialSpec(0, 0, 0)).absolute().parent.parent
        store = Store(f"{engine.checkpoints.rstrip('/')}/{run.name}")
        store.write("leader", b"")  # which tells at once whether it can be used
        store.remove("leader")
    return OnRay(work, engine.ray_address, workers, devices=devices, gpus=gpus, store=store)


def local(train_trial: TrainTrial, device: str, workers: int, devices: int = 1) -> Executor:
    """This process for one worker of one device, else processes; each has its devices, in turn."""
    if workers == devices == 1:
        return InProcess(train_trial)
    return Processes(train_trial, _environments(device, workers, devices))


def _environments(device: str, workers: int, devices: int) -> list[dict[str, str]]:
    if device in ("auto", "cuda"):
        import torch

        if gpus := torch.cuda.device_count() if torch.cuda.is_available() else 0:
            places = [range(first, first + devices) for first in range(0, workers * devices, devices)]
            return [{"CUDA_VISIBLE_DEVICES": ",".join(str(i % gpus) for i in place)} for place in places]
    return [{} for _ in range(workers)]
