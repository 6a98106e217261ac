"""Which executor runs the trainings: this machine, or a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scaler.execution.executors.executor import Executor, TrainTrial
from scaler.execution.executors.in_process import InProcess
from scaler.execution.executors.processes import Processes
from scaler.execution.executors.training import Training


@dataclass(frozen=True)
class Engine:
    """Where trainings run.

    Attributes:
        name: of the engine.
        ray_address: of the cluster's head, ``auto`` for the one that this machine belongs to; None starts
            Ray on this machine.
        gpus_per_training: part of a GPU that a training takes on Ray.
    """

    name: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    gpus_per_training: float = 1.0


def start(engine: Engine, training: Training, device: str, workers: int | None) -> Executor:
    """An executor of this engine.

    Args:
        engine: where trainings run.
        training: the unit of work.
        device: as on the command line.
        workers: the most trainings at a time; None is as many as a cluster has places for.

    Raises:
        UserError: Ray is missing, or its cluster cannot be reached.
    """
    if engine.name == "local":
        return local(training, device, workers or 1)
    from scaler.execution.executors.on_ray import OnRay

    gpus = engine.gpus_per_training if device != "cpu" else 0.0
    return OnRay(training, engine.ray_address, gpus, workers)


def local(train_trial: TrainTrial, device: str, workers: int) -> Executor:
    """This process for one worker, else processes; ``auto`` and ``cuda`` give each a GPU, in turn."""
    return InProcess(train_trial) if workers == 1 else Processes(train_trial, _environments(device, workers))


def _environments(device: str, workers: int) -> list[dict[str, str]]:
    import torch

    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return [{} for _ in range(workers)]
    gpus = torch.cuda.device_count()
    return [{"CUDA_VISIBLE_DEVICES": str(index % gpus)} for index in range(workers)]
