"""Trainings that fail, die or end early, and strategies that never end."""

import math
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from scaler.errors import MachineError, UserError
from scaler.execution.executors.engine import local
from scaler.execution.executors.executor import OnEpoch
from scaler.execution.executors.in_process import InProcess
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.strategies.halving import Halving
from scaler.training.recipe import Evaluation
from tests.execution.toy import RUNGS, Toy, noted
from tests.execution.toy_search import EXPERIMENT, lead, trials


@dataclass
class Failing:
    """Raises for candidate 4, so many times."""

    work: Toy
    times: int
    error: Exception
    calls: int = 0

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        if spec.candidate == 4 and self.calls < self.times:
            self.calls += 1
            raise self.error
        return self.work(spec, on_epoch)


def test_a_training_that_fails_is_tried_three_times(tmp_path: Path, undisturbed: list[Observation]) -> None:
    failing = Failing(Toy(tmp_path), 2, RuntimeError("out of memory"))
    assert lead(InProcess(failing), "journal", tmp_path) == undisturbed
    assert failing.calls == 2


def test_a_training_that_keeps_failing_ends_the_search_until_it_is_run_again(
    tmp_path: Path, undisturbed: list[Observation]
) -> None:
    failing = Failing(Toy(tmp_path), 3, RuntimeError("out of memory"))
    with pytest.raises(MachineError, match=r"candidate 4 .* 3 times: RuntimeError: out of memory \(test_fai"):
        lead(InProcess(failing), "journal", tmp_path)
    assert lead(InProcess(failing), "journal", tmp_path) == undisturbed


@pytest.mark.parametrize("error", [UserError("cat.jpg cannot be read"), MachineError("the disk is full")])
def test_what_no_second_try_mends_ends_the_search_at_once(error: Exception, tmp_path: Path) -> None:
    failing = Failing(Toy(tmp_path), 9, error)
    with pytest.raises(type(error), match=str(error)):
        lead(InProcess(failing), "journal", tmp_path)
    assert failing.calls == 1


@dataclass(frozen=True)
class Deadly:
    """Kills its own process at candidate 4, as the kernel does when memory is short."""

    work: Toy

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        if spec.candidate == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(spec, on_epoch)


def test_a_training_that_kills_three_workers_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(
        MachineError, match=r"candidate 4 .* failed 3 times: its process ended \(signal 9; is"
    ):
        lead(local(Deadly(Toy(tmp_path)), "cpu", 2), "journal", tmp_path)


@dataclass(frozen=True)
class Mortal:
    """Its process is killed after every epoch of candidate 5, as by someone who wants the memory."""

    work: Toy

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        def after(epoch: int) -> None:
            on_epoch(epoch)
            if spec.candidate == 5:
                os.kill(os.getpid(), signal.SIGKILL)

        return self.work(spec, after)


def test_a_training_that_gains_an_epoch_before_each_death_is_not_given_up(
    tmp_path: Path, undisturbed: list[Observation]
) -> None:
    assert lead(local(Mortal(Toy(tmp_path)), "cpu", 2), "journal", tmp_path) == undisturbed
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}
    lost = [trial for trial in trials(tmp_path) if trial.state.name == "FAIL"]
    assert len(lost) == sum(entry[1] == 5 for entry in noted(tmp_path)) == 8


@dataclass(frozen=True)
class Stillborn:
    """Takes every worker along at once."""

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        os._exit(7)


def test_workers_that_die_one_after_the_other_end_the_search(tmp_path: Path) -> None:
    many = Experiment(EXPERIMENT.shares * 2, EXPERIMENT.epoch_flops * 2, (1,), 1, 0)
    executor = local(Stillborn(), "cpu", 8)
    with pytest.raises(MachineError, match=r"workers die one after the other .*exit code 7"):
        lead(executor, "journal", tmp_path, experiment=many, strategy=Exhaustive())


@dataclass(frozen=True)
class Unloadable:
    """Cannot be had in another process."""

    def __reduce__(self) -> tuple[Callable[[], NoReturn], tuple[()]]:
        return missing_module, ()

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        return []


def missing_module() -> NoReturn:
    raise ImportError("no module named torchvision")


def test_what_a_worker_cannot_load_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no module named torchvision"):
        lead(local(Unloadable(), "cpu", 2), "journal", tmp_path)


def test_too_few_evaluations_are_an_error_of_the_training(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="must give 3 evaluations, not 1"):
        lead(
            InProcess(lambda spec, on_epoch: Toy(tmp_path)(spec, on_epoch)[:1]),
            "journal",
            tmp_path,
            strategy=Exhaustive(),
        )


def test_a_strategy_that_asks_the_same_for_ever_is_stopped(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Stuck:
        name = "stuck"

        def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
            return [] if len(seen) > 100 else [TrialSpec(0, 0, 0)]

    short = Experiment(EXPERIMENT.shares, EXPERIMENT.epoch_flops, RUNGS, 1, 0)
    with pytest.raises(RuntimeError, match="stuck asks only for what it has seen"):
        lead(InProcess(Toy(tmp_path)), "journal", tmp_path, experiment=short, strategy=Stuck())


@dataclass
class Diverging:
    """Candidate 2 diverges in its first epoch, or is too large for the memory, and reports high accuracy."""

    work: Toy
    too_large: bool
    calls: int = 0

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        if spec.candidate != 2:
            return self.work(spec, on_epoch)
        self.calls += 1
        state = {"too_large": True, "micro_batch": 8} if self.too_large else {"diverged": True}
        return [Evaluation(1, 40, 7, 0.9, math.inf, 0.1, **state)]


@pytest.mark.parametrize(("state", "micro_batch"), [("diverged", 0), ("too large", 8)])
def test_a_training_that_ended_early_ranks_last_and_is_not_run_again(
    state: str, micro_batch: int, tmp_path: Path
) -> None:
    few = Experiment(EXPERIMENT.shares[:3], EXPERIMENT.epoch_flops[:3], RUNGS, 1, 0)
    work = Diverging(Toy(tmp_path), state == "too large")
    seen = lead(InProcess(work), "journal", tmp_path, experiment=few, strategy=Halving(least=3))
    bad = [o for o in seen if o.candidate == 2]
    assert [(o.rung, o.epochs, o.images, o.accuracy, o.state, o.micro_batch) for o in bad] == [
        (rung, 1, 40, 0.0, state, micro_batch) for rung in range(3)
    ]
    assert all(math.isnan(o.loss) for o in bad)
    assert work.calls == 1
