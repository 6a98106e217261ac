"""The scheduler against what an undisturbed search sees, whatever happens to its processes."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from scaler.errors import MachineError, UserError
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.scheduler import search
from scaler.execution.study import Study
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.search.strategies.halving import Halving
from scaler.training.recipe import Evaluation
from tests.execution import toy_search
from tests.execution.toy_search import EXPERIMENT, RUNGS, STRATEGY, Toy, noted

STORAGES = pytest.mark.parametrize("storage", ["journal", "sqlite"])
PATIENCE = 60


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Observation]:
    return toy_search.run("journal", tmp_path_factory.mktemp("undisturbed"))


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing happened for a minute"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def started(
    storage: str, folder: Path, workers: int = 2, epoch_seconds: float = 0.05
) -> subprocess.Popen[str]:
    command = [sys.executable, toy_search.__file__, storage, str(folder), str(workers), str(epoch_seconds)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)


# --- the course of a search ------------------------------------------------------------------------------


def test_a_search_reports_every_rung_that_was_passed(undisturbed: list[Observation]) -> None:
    final = {o.candidate for o in undisturbed if o.rung == 2}
    assert len(final) == 2
    assert {(o.candidate, o.seed_index) for o in undisturbed if o.rung == 1} >= {
        (c, r) for c in final for r in range(2)
    }
    for o in undisturbed:
        expected = toy_search.evaluation(o.candidate, o.seed_index, RUNGS[o.rung])
        assert (o.epochs, o.accuracy, o.loss, o.seconds) == (
            expected.epochs,
            expected.accuracy,
            expected.loss,
            expected.seconds,
        )
    keys = [(o.candidate, o.seed_index, o.rung) for o in undisturbed]
    assert keys == sorted(set(keys))


@STORAGES
def test_four_processes_run_every_epoch_exactly_once(
    storage: str, tmp_path: Path, undisturbed: list[Observation]
) -> None:
    assert toy_search.run(storage, tmp_path, workers=4) == undisturbed
    epochs = Counter(entry[1:] for entry in noted(tmp_path))
    assert set(epochs.values()) == {1}
    assert os.getpid() not in {entry[0] for entry in noted(tmp_path)}


def test_a_finished_search_asked_again_trains_nothing(tmp_path: Path, undisturbed: list[Observation]) -> None:
    toy_search.run("journal", tmp_path)
    before = noted(tmp_path)
    assert toy_search.run("journal", tmp_path, workers=3) == undisturbed
    assert noted(tmp_path) == before


def test_progress_grows_to_the_whole(tmp_path: Path) -> None:
    events, batches = [], []
    seen = toy_search.run(
        "journal",
        tmp_path,
        on_progress=lambda done, total: events.append((done, total)),
        on_batch=lambda so_far: batches.append(len(so_far)),
    )
    done = [event[0] for event in events]
    assert done == sorted(done)
    assert all(part <= total for part, total in events)
    spent = {(o.candidate, o.seed_index): o.train_flops for o in seen}
    assert events[-1][0] == events[-1][1] == pytest.approx(sum(spent.values()))
    assert batches == sorted(batches)
    assert len(batches) == 3
    assert batches[-1] == len(seen)


def test_the_longest_trials_of_a_batch_come_first(tmp_path: Path) -> None:
    study = Study.create(toy_search.address("journal", tmp_path))
    search(EXPERIMENT, Exhaustive(), Toy(tmp_path), study)
    costs = [EXPERIMENT.epoch_flops[trial.spec.candidate] for trial in study.trials()]
    assert costs == sorted(costs, reverse=True)


# --- interruptions ---------------------------------------------------------------------------------------


@STORAGES
def test_a_killed_worker_is_replaced(storage: str, tmp_path: Path, undisturbed: list[Observation]) -> None:
    killed: list[int] = []

    def kill_once(done: float, total: float) -> None:
        if len(noted(tmp_path)) >= 3 and not killed:
            killed.append(noted(tmp_path)[-1][0])
            os.kill(killed[0], signal.SIGKILL)

    assert (
        toy_search.run(storage, tmp_path, workers=2, epoch_seconds=0.02, on_progress=kill_once) == undisturbed
    )
    assert killed
    assert len({entry[0] for entry in noted(tmp_path)}) >= 2


@STORAGES
def test_a_killed_parent_takes_its_workers_along_and_the_search_goes_on(
    storage: str, tmp_path: Path, undisturbed: list[Observation]
) -> None:
    parent = started(storage, tmp_path)
    wait_for(lambda: len(noted(tmp_path)) >= 7)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    wait_for(lambda: not any(lives(entry[0]) for entry in noted(tmp_path)))
    before = Counter(entry[1:] for entry in noted(tmp_path))
    assert toy_search.run(storage, tmp_path) == undisturbed
    after = Counter(entry[1:] for entry in noted(tmp_path))
    # At most the unfinished rungs of the two trainings in flight were lost.
    again = [key for key in after if after[key] > 1]
    assert len({key[:2] for key in again}) <= 2
    assert sum(before.values()) < sum(after.values())


def test_control_c_leaves_no_process_and_no_word_of_the_workers(
    tmp_path: Path, undisturbed: list[Observation]
) -> None:
    parent = started("journal", tmp_path)
    wait_for(lambda: len(noted(tmp_path)) >= 5)
    os.killpg(parent.pid, signal.SIGINT)
    words = parent.communicate(timeout=PATIENCE)[1]
    assert words.strip().endswith("KeyboardInterrupt")
    assert words.count("Traceback") == 1
    assert not any(lives(entry[0]) for entry in noted(tmp_path))
    study = Study.create(toy_search.address("journal", tmp_path))
    assert "running" not in {trial.status for trial in study.trials()}
    assert toy_search.run("journal", tmp_path, workers=2) == undisturbed


def test_two_searches_on_one_study_share_the_work(tmp_path: Path, undisturbed: list[Observation]) -> None:
    Study.create(toy_search.address("journal", tmp_path))
    other = started("journal", tmp_path, workers=1, epoch_seconds=0.02)
    wait_for(lambda: noted(tmp_path))
    assert toy_search.run("journal", tmp_path, epoch_seconds=0.02) == undisturbed
    assert other.communicate(timeout=PATIENCE)[1] == ""
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}


@dataclass(frozen=True)
class Moody:
    """A strategy whose every selection depends on all that it has seen."""

    name = "moody"

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        if len(seen) > 15:
            return []
        draw = random.Random(f"{experiment.seed} {sorted((o.candidate, o.seed_index, o.rung) for o in seen)}")
        known = {(o.candidate, o.seed_index, o.rung) for o in seen}
        free = [
            TrialSpec(c, r, rung)
            for c in range(len(experiment.shares))
            for r in range(experiment.max_seeds)
            for rung in range(len(experiment.rungs))
            if (c, r, rung) not in known
        ]
        return draw.sample(free, 3)


@dataclass
class Interrupted:
    """Ctrl-C after so many trainings."""

    work: Toy
    left: int

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.work(spec)


def test_a_search_interrupted_anywhere_takes_the_same_course(tmp_path: Path) -> None:
    whole_folder = tmp_path / "whole"
    study = Study.create(toy_search.address("journal", whole_folder))
    whole = search(EXPERIMENT, Moody(), Toy(whole_folder), study)
    parts_folder = tmp_path / "parts"
    study = Study.create(toy_search.address("journal", parts_folder))
    for length in (0, 1, 2, 4):
        with pytest.raises(KeyboardInterrupt):
            search(EXPERIMENT, Moody(), Interrupted(Toy(parts_folder), length), study)
    assert search(EXPERIMENT, Moody(), Toy(parts_folder), study) == whole
    assert set(Counter(entry[1:] for entry in noted(parts_folder)).values()) == {1}


# --- failures --------------------------------------------------------------------------------------------


@dataclass
class Failing:
    """Raises for candidate 4, so many times."""

    work: Toy
    times: int
    error: Exception
    calls: int = 0

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        if spec.candidate == 4 and self.calls < self.times:
            self.calls += 1
            raise self.error
        return self.work(spec)


def test_a_training_that_fails_is_tried_three_times(tmp_path: Path, undisturbed: list[Observation]) -> None:
    failing = Failing(Toy(tmp_path), 2, RuntimeError("out of memory"))
    study = Study.create(toy_search.address("journal", tmp_path))
    assert search(EXPERIMENT, STRATEGY, failing, study) == undisturbed
    assert failing.calls == 2


def test_a_training_that_keeps_failing_ends_the_search_until_it_is_run_again(
    tmp_path: Path, undisturbed: list[Observation]
) -> None:
    failing = Failing(Toy(tmp_path), 3, RuntimeError("out of memory"))
    study = Study.create(toy_search.address("journal", tmp_path))
    with pytest.raises(MachineError, match=r"candidate 4 .* 3 times: RuntimeError: out of memory \(test_sch"):
        search(EXPERIMENT, STRATEGY, failing, study)
    assert search(EXPERIMENT, STRATEGY, failing, study) == undisturbed


@pytest.mark.parametrize("error", [UserError("cat.jpg cannot be read"), MachineError("the disk is full")])
def test_what_no_second_try_mends_ends_the_search_at_once(error: Exception, tmp_path: Path) -> None:
    failing = Failing(Toy(tmp_path), 9, error)
    study = Study.create(toy_search.address("journal", tmp_path))
    with pytest.raises(type(error), match=str(error)):
        search(EXPERIMENT, STRATEGY, failing, study)
    assert failing.calls == 1


@dataclass(frozen=True)
class Deadly:
    """Kills its own process at candidate 4, as the kernel does when memory is short."""

    work: Toy

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        if spec.candidate == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(spec)


def test_a_training_that_kills_two_workers_ends_the_search(tmp_path: Path) -> None:
    study = Study.create(toy_search.address("journal", tmp_path))
    with pytest.raises(MachineError, match=r"candidate 4 .* failed 2 times: its process .* ended"):
        search(EXPERIMENT, STRATEGY, Deadly(Toy(tmp_path)), study, workers=2)


@dataclass(frozen=True)
class Unloadable:
    """Cannot be had in another process."""

    def __reduce__(self) -> tuple[Callable[[], NoReturn], tuple[()]]:
        return missing_module, ()

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        return []


def missing_module() -> NoReturn:
    raise ImportError("no module named torchvision")


def test_what_a_worker_cannot_load_is_named(tmp_path: Path) -> None:
    study = Study.create(toy_search.address("journal", tmp_path))
    with pytest.raises(MachineError, match="no module named torchvision"):
        search(EXPERIMENT, STRATEGY, Unloadable(), study, workers=2)


def test_too_few_evaluations_are_an_error_of_the_training(tmp_path: Path) -> None:
    study = Study.create(toy_search.address("journal", tmp_path))
    with pytest.raises(MachineError, match="must give 3 evaluations, not 1"):
        search(EXPERIMENT, Exhaustive(), lambda spec: Toy(tmp_path)(spec)[:1], study)


def test_a_strategy_that_asks_the_same_for_ever_is_stopped(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Stuck:
        name = "stuck"

        def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
            return [] if len(seen) > 100 else [TrialSpec(0, 0, 0)]

    study = Study.create(toy_search.address("journal", tmp_path))
    short = Experiment(EXPERIMENT.shares, EXPERIMENT.epoch_flops, RUNGS, 1, 0)
    with pytest.raises(RuntimeError, match="stuck asks only for what it has seen"):
        search(short, Stuck(), Toy(tmp_path), study)


# --- divergence ------------------------------------------------------------------------------------------


@dataclass
class Diverging:
    """Candidate 2 diverges in its first epoch, and reports high accuracy."""

    work: Toy
    calls: int = 0

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        if spec.candidate != 2:
            return self.work(spec)
        self.calls += 1
        return [Evaluation(1, 40, 7, 0.9, math.inf, 0.1, diverged=True)]


def test_a_diverged_training_ranks_last_and_is_not_run_again(tmp_path: Path) -> None:
    few = Experiment(EXPERIMENT.shares[:3], EXPERIMENT.epoch_flops[:3], RUNGS, 1, 0)
    work = Diverging(Toy(tmp_path))
    study = Study.create(toy_search.address("journal", tmp_path))
    seen = search(few, Halving(least=3), work, study)
    bad = [o for o in seen if o.candidate == 2]
    assert [(o.rung, o.epochs, o.images, o.accuracy, o.state) for o in bad] == [
        (rung, 1, 40, 0.0, "diverged") for rung in range(3)
    ]
    assert all(math.isnan(o.loss) for o in bad)
    assert work.calls == 1


def test_workers_see_their_environment_and_one_thread(tmp_path: Path) -> None:
    study = Study.create(toy_search.address("journal", tmp_path))
    environments = [{"SCALER_PLACE": "0"}, {"SCALER_PLACE": "1"}]
    brief = Experiment(EXPERIMENT.shares, EXPERIMENT.epoch_flops, (1,), 1, 0)
    search(brief, Exhaustive(), Environment(Toy(tmp_path, 0.1)), study, environments=environments)
    found = {path.read_text() for path in tmp_path.glob("environment-*")}
    assert found <= {"0 1", "1 1"}
    assert found
    assert "SCALER_PLACE" not in os.environ


@dataclass(frozen=True)
class Environment:
    """Writes down what its process was given."""

    work: Toy

    def __call__(self, spec: TrialSpec) -> list[Evaluation]:
        place, threads = os.environ["SCALER_PLACE"], os.environ["OMP_NUM_THREADS"]
        (self.work.folder / f"environment-{place}").write_text(f"{place} {threads}")
        return self.work(spec)
