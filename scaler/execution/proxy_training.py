"""The unit of work of a search: train one proxy network up to a rung. Runs in worker processes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.data.dataset import DataSet
from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.execution.protocol import TrialSpec
from scaler.networks.spec import NetworkSpec
from scaler.seeds import derive
from scaler.training.recipe import Evaluation, Recipe, TrainingSeeds

if TYPE_CHECKING:
    from scaler.training.distributed import Seat


@dataclass(frozen=True)
class ProxyTraining:
    """Trains the proxy of a trial's candidate; plain data, so that any process can do it.

    Attributes:
        networks: to be trained, by candidate.
        recipe: how they are trained.
        rungs: epochs at which they are compared.
        request: where the images come from.
        seed: of the run; all others derive from it.
        device: as on the command line; ``cuda`` is shared out among workers.
        checkpoints: folder of the trainings in progress.
        fingerprint: of the data that the run is about.
        on_test: report the test part at the last rung in place of the validation part. Only for networks
            that are no longer chosen among.
    """

    networks: tuple[NetworkSpec, ...]
    recipe: Recipe
    rungs: tuple[int, ...]
    request: DataRequest
    seed: int
    device: str
    checkpoints: Path
    fingerprint: str
    on_test: bool = False

    def __call__(
        self,
        spec: TrialSpec,
        on_epoch: Callable[[int], None] | None = None,
        *,
        seat: Seat | None = None,
    ) -> list[Evaluation]:
        """One evaluation for every rung up to the spec's.

        Args:
            spec: what is trained.
            on_epoch: told of the epochs done.
            seat: of this process among those that train it together.

        Raises:
            UserError: this machine has other data than the run.
        """
        # Imported here: the parent process of a search plans and prints, and needs no torch.
        import torch

        from scaler.training.device import resolve
        from scaler.training.distributed import ALONE, joined
        from scaler.training.trainer import train

        # Sums in another order differ in the last bits: one thread, whatever the number of workers.
        torch.set_num_threads(1)
        data = _load(self.request, self.fingerprint)
        network, stops = self.networks[spec.candidate], self.rungs[: spec.rung + 1]
        where = joined(seat, self.device) if seat else nullcontext((ALONE, resolve(self.device)))
        with where as (group, device):
            evaluations = train(
                network,
                self.recipe,
                data,
                seeds_of(self.seed, spec),
                stops=stops,
                device=device,
                checkpoint=self.checkpoint(spec),
                on_epoch=on_epoch,
                group=group,
            )
        if self.on_test and group.leads and stops[-1] == self.rungs[-1] and not evaluations[-1].ended:
            evaluations[-1] = self._tested(spec, data, evaluations[-1])
        return evaluations

    def checkpoint(self, spec: TrialSpec) -> Path:
        """Where the training of a candidate and a seed index stands."""
        return self.checkpoints / f"{spec.candidate}-{spec.seed_index}.pt"

    def checkpointed(self, folder: Path) -> ProxyTraining:
        """The same with its checkpoints in another folder."""
        return replace(self, checkpoints=folder)

    def _tested(self, spec: TrialSpec, data: DataSet, last: Evaluation) -> Evaluation:
        from scaler.training.device import resolve
        from scaler.training.evaluation import evaluate
        from scaler.training.trainer import trained

        network, device = self.networks[spec.candidate], resolve(self.device)
        weights = trained(network, self.recipe, data, self.checkpoint(spec)).to(device.torch)
        accuracy, loss = evaluate(weights, data, "test", network.resolution, device)
        return replace(last, accuracy=accuracy, loss=loss)


def seeds_of(run: int, spec: TrialSpec) -> TrainingSeeds:
    """Of a run's seed: weights of its own; the order of the images is shared by all of a seed index."""
    return TrainingSeeds(
        weights=derive(run, "weights", spec.seed_index, spec.candidate),
        order=derive(run, "order", spec.seed_index),
    )


@lru_cache(maxsize=2)
def _load(request: DataRequest, fingerprint: str) -> DataSet:
    """The data of a run; another run of the same process may find other images in the same place."""
    data = request.load()
    if data.fingerprint != fingerprint:
        raise UserError(
            f"{socket.gethostname()} has other data for '{request.name}' than the run "
            f"(fingerprint {data.fingerprint[:12]}, not {fingerprint[:12]}): copy the run's there."
        )
    return data
