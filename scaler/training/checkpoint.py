"""The state of a training on disk: all that is needed to go on as if it had never stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaler.errors import MachineError, UserError
from scaler.files import replacing
from scaler.training.recipe import Evaluation


@dataclass(frozen=True)
class Checkpoint:
    """A training after some epochs.

    Attributes:
        training: fingerprint of the spec, recipe, data and seeds it belongs to.
        epochs: epochs done.
        images: training images seen.
        seconds: time spent so far.
        network: state dict of the weights that are trained.
        averaged: state dict of their average, which is what is evaluated.
        optimiser: state dict.
        evaluations: made so far.
        parts: of a batch that memory has room for one of.
    """

    training: str
    epochs: int
    images: int
    seconds: float
    network: dict[str, Tensor]
    averaged: dict[str, Tensor]
    optimiser: dict[str, Any]
    evaluations: tuple[Evaluation, ...]
    parts: int = 1


def save(checkpoint: Checkpoint, file: Path) -> None:
    """Write a checkpoint, so that a kill leaves the old one or the new one.

    Raises:
        MachineError: the disk is full, or the folder cannot be written.
    """
    fields = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    fields["evaluations"] = [asdict(evaluation) for evaluation in checkpoint.evaluations]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.glob(f".{file.stem}.*.tmp{file.suffix}"):  # by a writer that was killed
            left.unlink(missing_ok=True)
        with replacing(file) as beside:
            torch.save(fields, beside)
    except (OSError, RuntimeError, UserError) as error:  # torch reports a full disk as RuntimeError
        raise MachineError(f"cannot write the checkpoint {file}: {error}") from error


def load_if_whole(file: Path) -> Checkpoint | None:
    """A checkpoint to go on from; None if there is none, or it was only half written."""
    try:
        return load(file) if file.exists() else None
    except MachineError:
        return None


def load(file: Path) -> Checkpoint:
    """Read a checkpoint; tensors only, no code. They lie on the CPU.

    Raises:
        MachineError: the file is no checkpoint.
    """
    try:
        fields = torch.load(file, map_location="cpu", weights_only=True)
        evaluations = tuple(Evaluation(**evaluation) for evaluation in fields.pop("evaluations"))
        return Checkpoint(**fields, evaluations=evaluations)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise MachineError(
            f"cannot read the checkpoint {file} ({error}); train again under another --name"
        ) from error
