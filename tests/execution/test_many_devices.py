"""One training in two processes against the same in one, and what becomes of it when a process dies."""

import os
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
import torch

from scaler.cores import cores
from scaler.data.request import DataRequest
from scaler.errors import UserError
from scaler.execution.calibration import places
from scaler.execution.executors.engine import Engine, start
from scaler.execution.executors.executor import OnEpoch, TrainingFailedError
from scaler.execution.executors.many_devices import ManyDevices
from scaler.execution.executors.processes import Processes
from scaler.execution.protocol import Experiment, TrialSpec
from scaler.execution.proxy_training import ProxyTraining
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.scaling.shares import Shares
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.workload import Settings, workers_of
from scaler.training import checkpoint as files
from scaler.training import trainer
from scaler.training.device import Device
from scaler.training.distributed import Group, Seat
from scaler.training.recipe import Evaluation, Recipe
from tests.execution.toy_search import lead, lives, trials, wait_for

DIGITS = DataRequest("digits", None, 8)
SPEC = TrialSpec(0, 0, 1)
EPOCHS = 2


def training(folder: Path, **recipe: Any) -> ProxyTraining:
    """Of a network with what meets other images, or not: norms, excitation, depthwise layers."""
    whole = small(base("effnet-b0"), 8)
    network = replace(whole, stages=whole.stages[:3])
    asked = {"epochs": EPOCHS, "images": 96, "batch_size": 32, "validation_images": 101, **recipe}
    fingerprint = DIGITS.load().fingerprint
    return ProxyTraining((network,), Recipe(**asked), (1, EPOCHS), DIGITS, 0, "cpu", folder, fingerprint)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Evaluation]]:
    folder = tmp_path_factory.mktemp("alone")
    return folder / "0-0.pt", training(folder)(SPEC)


def assert_same(found: list[Evaluation], expected: list[Evaluation]) -> None:
    """All but the time, to rounding."""
    assert [(e.epochs, e.images, e.train_flops) for e in found] == [
        (e.epochs, e.images, e.train_flops) for e in expected
    ]
    assert [e.loss for e in found] == pytest.approx([e.loss for e in expected], rel=1e-4)
    assert [e.accuracy for e in found] == pytest.approx([e.accuracy for e in expected], abs=1 / 101)


def test_two_processes_train_as_one(tmp_path: Path, alone: tuple[Path, list[Evaluation]]) -> None:
    told: list[int] = []
    work = ManyDevices(training(tmp_path), 2)
    assert_same(work(SPEC, told.append), alone[1])
    assert told == list(range(1, EPOCHS + 1))
    one, two = files.load(alone[0]), files.load(work.checkpoint(SPEC))
    for name, weights in one.averaged.items():
        torch.testing.assert_close(two.averaged[name], weights, rtol=1e-3, atol=1e-4)
    assert one.network.keys() == two.network.keys()
    # On one device or on several: it goes on from the same checkpoint.
    assert one.training == two.training


@dataclass(frozen=True)
class Wrapped:
    """A training that something happens to; its checkpoints are the training's own."""

    training: ProxyTraining

    def checkpoint(self, spec: TrialSpec) -> Path:
        return self.training.checkpoint(spec)

    def checkpointed(self, folder: Path) -> Self:
        return replace(self, training=self.training.checkpointed(folder))


@dataclass(frozen=True)
class Disturbed(Wrapped):
    """Once, after its first epoch, the process of rank 1 dies, or the worker that started all of them."""

    folder: Path
    worker: bool

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: Seat | None = None) -> list[Evaluation]:
        assert seat is not None
        (self.folder / f"pid-{seat.rank}").write_text(str(os.getpid()))

        def after(epochs: int) -> None:
            on_epoch(epochs)
            with (self.folder / "epochs").open("a") as told:
                told.write(f"{epochs} ")
            if not (self.folder / "done").exists():
                (self.folder / "done").touch()
                victim = os.getppid() if self.worker else int((self.folder / "pid-1").read_text())
                os.kill(victim, signal.SIGKILL)

        return self.training(spec, after, seat=seat)


def gone(pid: int) -> bool:
    return not lives(pid)


@pytest.mark.parametrize(
    "worker",
    [pytest.param(False, id="one rank"), pytest.param(True, id="the worker", marks=pytest.mark.slow)],
)
def test_a_killed_process_costs_what_came_after_the_last_epoch(
    worker: bool, tmp_path: Path, alone: tuple[Path, list[Evaluation]]
) -> None:
    work = Disturbed(training(tmp_path), tmp_path, worker)
    experiment = Experiment((Shares(1.0, 0.0, 0.0),), (1.0,), (1, EPOCHS), 1, 0)
    executor = start(Engine(gpus_per_training=2), work, "cpu", 1)
    assert isinstance(executor, Processes)
    seen = lead(executor, "journal", tmp_path, experiment=experiment, strategy=Exhaustive())
    assert [o.loss for o in seen] == pytest.approx([e.loss for e in alone[1]], rel=1e-4)
    assert [trial.state.name for trial in trials(tmp_path)] == ["FAIL", "COMPLETE"]
    kind, reason = trials(tmp_path)[0].user_attrs["failure"]
    assert (kind, "SIGKILL" in reason or "signal 9" in reason) == ("lost", True)
    # Each epoch once: the second process went on where the first had stopped.
    assert (tmp_path / "epochs").read_text().split() == [str(epoch + 1) for epoch in range(EPOCHS)]
    for rank in range(2):
        pid = int((tmp_path / f"pid-{rank}").read_text())
        wait_for(partial(gone, pid))


@dataclass(frozen=True)
class Cramped(Wrapped):
    """The device of one rank has no memory for a step, which the others wait for."""

    rank: int

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch, *, seat: Seat | None = None) -> list[Evaluation]:
        def short(*_: Any, **__: Any) -> torch.Tensor:
            raise torch.OutOfMemoryError

        assert seat is not None
        if seat.rank == self.rank:
            trainer.gradients = short
        return self.training(spec, on_epoch, seat=seat)


@pytest.mark.parametrize("rank", [0, 1])
def test_memory_that_is_too_short_for_any_of_the_processes_ends_the_training(
    rank: int, tmp_path: Path
) -> None:
    found = ManyDevices(Cramped(training(tmp_path), rank), 2)(SPEC, lambda epochs: None)
    assert found[-1].too_large
    assert (found[-1].epochs, found[-1].images) == (0, 0)


def test_what_no_second_try_mends_is_told_as_it_is(tmp_path: Path) -> None:
    other = replace(training(tmp_path), fingerprint="of other images")
    with pytest.raises(TrainingFailedError, match="has other data for 'digits'") as raised:
        ManyDevices(other, 2)(SPEC, lambda epochs: None)
    assert raised.value.failure.kind == "UserError"


def test_a_batch_without_equal_parts_is_refused() -> None:
    Group(0, 3).check(33)
    with pytest.raises(UserError, match="a batch of 33 images has no 2 equal parts"):
        Group(1, 2).check(33)


@pytest.mark.parametrize("asked", [0.0, 0.001, -1.0, 1.5, 65.0, 1e9])
def test_neither_a_part_of_a_gpu_nor_whole_devices(asked: float) -> None:
    with pytest.raises(UserError, match=r"--gpus-per-training .* is neither a part of a GPU"):
        Engine(gpus_per_training=asked)


def test_never_more_processes_than_cores() -> None:
    def settings(gpus: float | None, workers: int | None = None) -> Settings:
        return Settings(device="cpu", workers=workers, engine=Engine(gpus_per_training=gpus))

    assert workers_of(settings(None)) == workers_of(settings(0.25)) == cores()
    assert workers_of(settings(None, 10 * cores())) == cores()
    assert workers_of(settings(cores())) == workers_of(settings(cores(), 5)) == 1
    if cores() < 64:
        with pytest.raises(UserError, match=f"more than the {cores()} cores of this machine"):
            workers_of(settings(64))


def test_gpus_are_shared_or_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    gpu = Device("cuda:0")
    assert [places(gpu, share) for share in (1.0, 0.25, 0.3, 0.1, 2, 3, 8)] == [4, 16, 12, 40, 2, 1, 0]
