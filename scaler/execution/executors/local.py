"""This machine: this process for one training at a time, else worker processes that share out its GPUs."""

from __future__ import annotations

from scaler.execution.executors.executor import Executor, TrainTrial
from scaler.execution.executors.in_process import InProcess
from scaler.execution.executors.processes import Processes


def local(train_trial: TrainTrial, device: str, workers: int) -> Executor:
    """So many workers; ``auto`` and ``cuda`` give each one of the GPUs, in turn."""
    return InProcess(train_trial) if workers == 1 else Processes(train_trial, _environments(device, workers))


def _environments(device: str, workers: int) -> list[dict[str, str]]:
    import torch

    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return [{} for _ in range(workers)]
    gpus = torch.cuda.device_count()
    return [{"CUDA_VISIBLE_DEVICES": str(index % gpus)} for index in range(workers)]
