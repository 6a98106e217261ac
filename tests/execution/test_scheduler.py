"""The scheduler against what an undisturbed search sees, whatever happens to its processes."""

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scaler.errors import UserError
from scaler.execution.executors.executor import OnEpoch
from scaler.execution.executors.forking import start_method
from scaler.execution.executors.in_process import InProcess
from scaler.execution.executors.processes import Processes
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.run_trials import ended_by_sigterm
from scaler.execution.study import Study
from scaler.search.strategies.exhaustive import Exhaustive
from scaler.training.recipe import Evaluation
from tests.execution import toy_search
from tests.execution.toy import RUNGS, Toy, evaluation, noted
from tests.execution.toy_search import EXPERIMENT, PATIENCE, lead, lives, trials, wait_for

STORAGES = pytest.mark.parametrize("storage", ["journal", "sqlite"])


def started(
    storage: str, folder: Path, workers: int = 2, epoch_seconds: float = 0.05
) -> subprocess.Popen[str]:
    command = [sys.executable, toy_search.__file__, storage, str(folder), str(workers), str(epoch_seconds)]
    # The tests' own package, whatever else is installed.
    environment = {**os.environ, "PYTHONPATH": str(Path(toy_search.__file__).parents[2])}
    return subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, text=True, env=environment
    )


# --- the course of a search ------------------------------------------------------------------------------


def test_a_search_reports_every_rung_that_was_passed(undisturbed: list[Observation]) -> None:
    final = {o.candidate for o in undisturbed if o.rung == 2}
    assert len(final) == 2
    assert {(o.candidate, o.seed_index) for o in undisturbed if o.rung == 1} >= {
        (c, r) for c in final for r in range(2)
    }
    for o in undisturbed:
        expected = evaluation(o.candidate, o.seed_index, RUNGS[o.rung])
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
    toy_search.run("journal", tmp_path, strategy=Exhaustive())
    costs = [EXPERIMENT.epoch_flops[trial.params["candidate"]] for trial in trials(tmp_path)]
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
    # At most the unfinished epochs of the two trainings in flight were lost.
    assert sum(after.values()) - len(after) <= 2
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
    assert {trial.state.name for trial in trials(tmp_path)} <= {"COMPLETE", "FAIL"}
    assert toy_search.run("journal", tmp_path, workers=2) == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is forked")
def test_workers_start_where_the_name_of_a_socket_would_be_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[Observation]
) -> None:
    assert start_method() == "forkserver"
    long = tmp_path / "temporary" / ("x" * 100)
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert start_method() == "spawn"
    assert toy_search.run("journal", tmp_path / "run", workers=2) == undisturbed


def test_sigterm_within_its_grace_leaves_all_in_order(tmp_path: Path, undisturbed: list[Observation]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        toy_search.run(
            "journal",
            tmp_path,
            workers=2,
            on_progress=lambda done, total: os.kill(os.getpid(), signal.SIGTERM) if done else None,
        )
    assert signal.getsignal(signal.SIGTERM) == before
    assert {trial.state.name for trial in trials(tmp_path)} <= {"COMPLETE", "FAIL"}
    assert not any(lives(entry[0]) for entry in noted(tmp_path))
    assert toy_search.run("journal", tmp_path) == undisturbed


@STORAGES
def test_a_second_leader_is_turned_away(storage: str, tmp_path: Path, undisturbed: list[Observation]) -> None:
    with Study.open(toy_search.address(storage, tmp_path), "toy"):
        with pytest.raises(UserError, match="'toy' is being written by another process"):
            toy_search.run(storage, tmp_path)
        with Study.open(toy_search.address(storage, tmp_path), "another"):
            pass
    assert toy_search.run(storage, tmp_path) == undisturbed


@STORAGES
def test_what_a_dead_leader_left_running_is_lost_and_done_again(
    storage: str, tmp_path: Path, undisturbed: list[Observation]
) -> None:
    with Study.open(toy_search.address(storage, tmp_path), "toy") as study:
        study.start(TrialSpec(1, 0, 0), EXPERIMENT, {})
    assert toy_search.run(storage, tmp_path) == undisturbed
    first, *others = trials(tmp_path, storage)
    assert (first.state.name, first.user_attrs["failure"][0]) == ("FAIL", "lost")
    assert {trial.state.name for trial in others} == {"COMPLETE"}
    assert [1, 0, 0] in [trial.user_attrs["spec"] for trial in others]


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

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.work(spec, on_epoch)


def test_a_search_interrupted_anywhere_takes_the_same_course(tmp_path: Path) -> None:
    whole = toy_search.run("journal", tmp_path / "whole", strategy=Moody())
    parts = tmp_path / "parts"
    for length in (0, 1, 2, 4):
        with pytest.raises(KeyboardInterrupt):
            lead(InProcess(Interrupted(Toy(parts), length)), "journal", parts, strategy=Moody())
    assert toy_search.run("journal", parts, strategy=Moody()) == whole
    assert set(Counter(entry[1:] for entry in noted(parts)).values()) == {1}


# --- surroundings ----------------------------------------------------------------------------------------


def test_workers_see_their_environment_and_one_thread(tmp_path: Path) -> None:
    environments = [{"SCALER_PLACE": "0"}, {"SCALER_PLACE": "1"}]
    brief = Experiment(EXPERIMENT.shares, EXPERIMENT.epoch_flops, (1,), 1, 0)
    executor = Processes(Environment(Toy(tmp_path, 0.1)), environments)
    lead(executor, "journal", tmp_path, experiment=brief, strategy=Exhaustive())
    found = {path.read_text() for path in tmp_path.glob("environment-*")}
    assert found <= {"0 1", "1 1"}
    assert found
    assert "SCALER_PLACE" not in os.environ


@dataclass(frozen=True)
class Environment:
    """Writes down what its process was given."""

    work: Toy

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        place, threads = os.environ["SCALER_PLACE"], os.environ["OMP_NUM_THREADS"]
        (self.work.folder / f"environment-{place}").write_text(f"{place} {threads}")
        return self.work(spec, on_epoch)


def test_a_damaged_study_ends_what_would_run_its_trainings(tmp_path: Path) -> None:
    class Closing(InProcess):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    toy_search.run("journal", tmp_path)
    journal, executor = tmp_path / "study.log", Closing(Toy(tmp_path))
    journal.write_text(journal.read_text().replace('"evaluations":[[1,', '"evaluations":[[-1,', 1))
    with pytest.raises(UserError, match=r"trial \d+ of .*study\.log is damaged"):
        lead(executor, "journal", tmp_path)
    assert executor.closed == 1


def test_results_that_turn_read_only_half_way(
    tmp_path: Path, undisturbed: list[Observation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also root is refused so: by the file system, not by the mode."""
    opened: Any = Path.open

    def refused(path: Path, *arguments: str) -> object:
        if path.name == "study.log":
            raise OSError(30, "Read-only file system", str(path))
        return opened(path, *arguments)

    def turn(done: float, total: float) -> None:
        if done:
            monkeypatch.setattr(Path, "open", refused)

    with pytest.raises(UserError, match=r"study\.log cannot be written \(read-only file system\)"):
        toy_search.run("journal", tmp_path, on_progress=turn)
    monkeypatch.undo()
    assert toy_search.run("journal", tmp_path) == undisturbed
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}
