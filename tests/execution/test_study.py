"""The study: what is kept, and what becomes of trials whose process is gone."""

import json
import math
import os
import subprocess
import time
from pathlib import Path

import optuna
import pytest

from scaler.errors import MachineError, UserError
from scaler.execution import study as study_module
from scaler.execution.process_id import has_ended, this_process
from scaler.execution.protocol import TrialSpec
from scaler.execution.study import STALE_AFTER, Failure, StoredTrial, Study, StudyAddress
from scaler.execution.trials_table import COLUMNS, FORMATS, observe, trials_table
from scaler.files import csv_text
from scaler.training.recipe import Evaluation
from tests.execution.toy_search import EXPERIMENT, address, evaluation

SHOWN = [{"network": f"n{c}", "macs": 10 * c} for c in range(6)]


@pytest.fixture(params=["journal", "sqlite"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Study:
    return Study.create(address(request.param, tmp_path), "this")


def claimed(study: Study) -> StoredTrial:
    """The next trial, where there must be one."""
    trial = study.claim()
    assert trial is not None
    return trial


def elsewhere(study: Study, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The same study, open in a process on another machine."""
    monkeypatch.setattr(study_module, "this_process", lambda: "12@elsewhere#0")
    return Study.join(study.address)


def test_trials_are_claimed_in_order_and_each_once(study: Study) -> None:
    specs = [TrialSpec(3, 0, 1), TrialSpec(1, 0, 0), TrialSpec(2, 1, 2)]
    study.enqueue([*specs, specs[0]], EXPERIMENT, SHOWN)
    other = Study.join(study.address)
    assert [claimed(one).spec for one in (study, other, study)] == specs
    assert study.claim() is None
    assert other.claim() is None
    study.enqueue(specs, EXPERIMENT, SHOWN)
    assert study.claim() is None


def test_a_failed_trial_can_be_queued_again(study: Study) -> None:
    study.enqueue([TrialSpec(0, 0, 0)], EXPERIMENT)
    study.fail(claimed(study), Failure("error", "why"))
    assert study.claim() is None
    study.enqueue([TrialSpec(0, 0, 0)], EXPERIMENT)
    assert claimed(study).spec == TrialSpec(0, 0, 0)
    assert [(t.status, t.failure) for t in study.trials()] == [
        ("failed", Failure("error", "why")),
        ("running", None),
    ]


def test_observations_come_back_as_they_were(study: Study) -> None:
    study.enqueue([TrialSpec(2, 1, 2), TrialSpec(2, 1, 0), TrialSpec(0, 0, 0)], EXPERIMENT)
    results = {
        TrialSpec(2, 1, 2): [evaluation(2, 1, epochs) for epochs in (1, 2, 4)],
        TrialSpec(2, 1, 0): [evaluation(2, 1, 1)],
        TrialSpec(0, 0, 0): [Evaluation(1, 64, 10**13, 0.1, math.nan, 1 / 3, diverged=True)],
    }
    while trial := study.claim():
        study.complete(trial, results[trial.spec])
    again = Study.join(study.address).observations()
    expected = observe(TrialSpec(0, 0, 0), results[TrialSpec(0, 0, 0)]) + observe(
        TrialSpec(2, 1, 2), results[TrialSpec(2, 1, 2)]
    )
    assert repr(again) == repr(expected)


def test_optuna_sees_an_ordinary_study(study: Study) -> None:
    study.enqueue([TrialSpec(2, 1, 2), TrialSpec(3, 0, 0)], EXPERIMENT, SHOWN)
    study.complete(claimed(study), [evaluation(2, 1, epochs) for epochs in (1, 2, 4)])
    path = study.address.storage
    backend = optuna.storages.journal.JournalFileBackend
    storage = path if "://" in path else optuna.storages.JournalStorage(backend(path))
    opened = optuna.load_study(study_name="toy", storage=storage)
    best = opened.best_trial
    assert opened.metric_names == ["accuracy"]
    assert best.value == evaluation(2, 1, 4).accuracy
    assert best.params == {"candidate": 2, "seed_index": 1, "rung": 2}
    assert best.intermediate_values == {e: evaluation(2, 1, e).accuracy for e in (1, 2, 4)}
    assert best.user_attrs["network"] == "n2"
    assert best.user_attrs["macs"] == 20
    assert best.user_attrs["loss"] == evaluation(2, 1, 4).loss
    assert best.user_attrs["worker"] == this_process()
    assert opened.trials[1].state == optuna.trial.TrialState.WAITING
    assert len(opened.trials_dataframe()) == 2


def test_trials_made_by_others_are_left_alone(study: Study) -> None:
    storage = study._storage
    opened = optuna.load_study(study_name="toy", storage=storage)
    opened.enqueue_trial({"x": 1.0})
    opened.ask()
    opened.enqueue_trial({"x": 2.0})
    study.enqueue([TrialSpec(1, 0, 0)], EXPERIMENT)
    assert claimed(study).spec == TrialSpec(1, 0, 0)
    assert study.claim() is None
    assert [trial.spec for trial in study.trials()] == [TrialSpec(1, 0, 0)]
    assert study.release_lost() == []


def test_trials_of_another_machine_are_lost_when_it_falls_silent(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.enqueue([TrialSpec(1, 0, 0), TrialSpec(2, 0, 0)], EXPERIMENT)
    other = elsewhere(study, monkeypatch)
    silent, last_heartbeat = claimed(other), claimed(other)
    assert study.release_lost() == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + STALE_AFTER)
    other.heartbeat(last_heartbeat)
    monkeypatch.setattr(time, "time", lambda: now + STALE_AFTER + 60)
    assert [trial.spec for trial in study.release_lost()] == [silent.spec]
    # What it sends after all comes too late, and harms nothing.
    other.complete(silent, [evaluation(1, 0, 1)])
    other.complete(last_heartbeat, [evaluation(2, 0, 1)])
    assert [(o.candidate, o.accuracy) for o in study.observations()] == [(2, evaluation(2, 0, 1).accuracy)]


def test_trials_of_a_dead_process_are_lost_at_once(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["true"])
    study.enqueue([TrialSpec(1, 0, 0)], EXPERIMENT)
    host = this_process().partition("@")[2].partition("#")[0]
    monkeypatch.setattr(study_module, "this_process", lambda: f"{process.pid}@{host}#1")
    assert Study.join(study.address).claim()
    process.wait()
    assert [trial.spec for trial in study.release_lost()] == [TrialSpec(1, 0, 0)]
    failure = study.trials()[0].failure
    assert failure is not None
    assert failure.kind == "lost"


def test_which_processes_are_known_to_be_dead() -> None:
    me = this_process()
    process, _, start = me.partition("#")
    assert not has_ended(me)
    assert not has_ended(f"{os.getpid()}@elsewhere#{start}")
    assert not has_ended("")
    ended = subprocess.Popen(["true"])
    name = f"{ended.pid}@{process.partition('@')[2]}"
    ended.wait()
    assert has_ended(name)
    if start:
        assert has_ended(f"{process}#1{start}"), "a pid that was used again"
        unreaped = subprocess.Popen(["true"])
        while Path(f"/proc/{unreaped.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        assert has_ended(f"{unreaped.pid}@{process.partition('@')[2]}#77")
        unreaped.wait()


def test_a_study_about_something_else_is_refused(study: Study) -> None:
    assert Study.create(study.address, "this").trials() == []
    with pytest.raises(UserError, match="already holds a study 'toy' with another configuration"):
        Study.create(study.address, "that")
    with pytest.raises(UserError, match="holds no study 'other'"):
        Study.join(StudyAddress(study.address.storage, "other"))


@pytest.mark.parametrize(
    "storage", ["postgresql://me:secret@localhost:1/x", "nonsense://x", "sqlite:////no/such/folder/x.db"]
)
def test_a_storage_that_cannot_be_opened(storage: str) -> None:
    with pytest.raises(UserError, match=r"--storage .* cannot be opened") as caught:
        Study.create(StudyAddress(storage, "toy"))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_half_a_line_at_the_end_of_a_journal_is_cut_off(tmp_path: Path) -> None:
    study = Study.create(address("journal", tmp_path))
    study.enqueue([TrialSpec(1, 0, 0)], EXPERIMENT)
    journal = tmp_path / "study.log"
    whole = journal.read_text()
    journal.write_text(whole + '{"op_code":8,"worker_id":"x","trial_')
    study.enqueue([TrialSpec(2, 0, 0)], EXPERIMENT)
    again = Study.create(address("journal", tmp_path))
    assert [trial.spec for trial in again.trials()] == [TrialSpec(1, 0, 0), TrialSpec(2, 0, 0)]
    assert journal.read_text().startswith(whole)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_full_disk_is_a_failure_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.create(address("journal", tmp_path))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match="the disk is full"):
            study.enqueue([TrialSpec(1, 0, 0)], EXPERIMENT)
    study.enqueue([TrialSpec(1, 0, 0)], EXPERIMENT)
    assert {trial.spec for trial in study.trials()} == {TrialSpec(1, 0, 0)}


# --- trials.csv ------------------------------------------------------------------------------------------


def test_trials_as_a_table(tmp_path: Path) -> None:
    seen = observe(TrialSpec(1, 0, 1), [evaluation(1, 0, 1), evaluation(1, 0, 2)])
    seen += observe(TrialSpec(0, 1, 0), [Evaluation(1, 64, 10**13, 0.1, math.nan, 1 / 3, diverged=True)])
    path = tmp_path / "trials.csv"
    path.write_text(csv_text(trials_table(seen), FORMATS))
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == "0,1,0,1,64,10000000000000,0.000000,,0.333,diverged"
    assert lines[2].startswith("1,0,0,1,100,1100000,0.")
    assert lines[3].startswith("1,0,1,2,200,2200000,0.")


def test_a_training_that_diverged_stands_for_the_rungs_it_did_not_reach() -> None:
    bad = Evaluation(2, 64, 9, 0.3, math.inf, 1.0, diverged=True)
    seen = observe(TrialSpec(0, 0, 2), [evaluation(0, 0, 1), bad])
    assert [(o.rung, o.epochs, o.state) for o in seen] == [
        (0, 1, "complete"),
        (1, 2, "diverged"),
        (2, 2, "diverged"),
    ]
    with pytest.raises(ValueError, match="must give 3 evaluations, not 1"):
        observe(TrialSpec(0, 0, 2), [evaluation(0, 0, 1)])
