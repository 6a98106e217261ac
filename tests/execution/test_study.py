"""The study: what is kept, what others see of it, and what becomes of a damaged one."""

import json
import math
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import filelock
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from scaler.errors import MachineError, UserError
from scaler.execution.executors.executor import Failure
from scaler.execution.protocol import TrialSpec
from scaler.execution.storage import hidden
from scaler.execution.study import Study
from scaler.execution.trials_table import COLUMNS, FORMATS, observe, trials_table
from scaler.files import csv_text
from scaler.training.recipe import Evaluation
from tests.execution.toy import evaluation
from tests.execution.toy_search import EXPERIMENT, PATIENCE, address

SHOWN = {"network": "n2", "macs": 20}


@pytest.fixture(params=["journal", "sqlite"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return address(request.param, tmp_path)


@pytest.fixture
def study(where: str) -> Iterator[Study]:
    with Study.open(where, "toy", "this") as study:
        yield study


def start(study: Study, spec: TrialSpec, shown: dict[str, Any] | None = None) -> int:
    return study.start(spec, EXPERIMENT, shown or {})


def complete(study: Study, spec: TrialSpec, evaluations: Sequence[Evaluation]) -> None:
    study.complete(start(study, spec, SHOWN), evaluations, observe(spec, evaluations))


def opened(where: str) -> optuna.Study:
    """As Optuna opens it."""
    storage = where if "://" in where else JournalStorage(JournalFileBackend(where))
    return optuna.load_study(study_name="toy", storage=storage)


def test_observations_come_back_as_they_were(study: Study, where: str) -> None:
    results = {
        TrialSpec(2, 1, 2): [evaluation(2, 1, epochs) for epochs in (1, 2, 4)],
        TrialSpec(2, 1, 0): [evaluation(2, 1, 1)],
        TrialSpec(0, 0, 0): [Evaluation(1, 64, 10**13, 0.1, math.nan, 1 / 3, diverged=True)],
        TrialSpec(3, 0, 2): [evaluation(3, 0, 1), *[replace(evaluation(3, 0, 1), too_large=True)] * 2],
        TrialSpec(4, 0, 1): [Evaluation(0, 0, 0, 0.0, math.nan, 0.1, too_large=True)],
    }
    for spec, evaluations in results.items():
        complete(study, spec, evaluations)
    study.close()
    with Study.open(where, "toy", "this") as again:
        found = again.observations()
    asked = [spec for spec in results if spec != TrialSpec(2, 1, 0)]
    expected = [seen for spec in asked for seen in observe(spec, results[spec])]
    assert repr(list(found.values())) == repr(expected)
    assert list(found) == [replace(spec, rung=rung) for spec in asked for rung in range(spec.rung + 1)]


def test_optuna_sees_an_ordinary_study(study: Study, where: str) -> None:
    complete(study, TrialSpec(2, 1, 2), [evaluation(2, 1, epochs) for epochs in (1, 2, 4)])
    start(study, TrialSpec(3, 0, 0))
    study.fail(start(study, TrialSpec(4, 0, 0)), Failure("error", "why"))
    seen = opened(where)
    best = seen.best_trial
    assert seen.metric_names == ["accuracy"]
    assert best.value == evaluation(2, 1, 4).accuracy
    assert best.params == {"candidate": 2, "seed_index": 1, "rung": 2}
    assert best.intermediate_values == {e: evaluation(2, 1, e).accuracy for e in (1, 2, 4)}
    assert best.user_attrs["network"] == "n2"
    assert best.user_attrs["macs"] == 20
    assert best.user_attrs["loss"] == evaluation(2, 1, 4).loss
    assert best.duration is not None
    assert [trial.state.name for trial in seen.trials] == ["COMPLETE", "RUNNING", "FAIL"]
    assert seen.trials[2].user_attrs["failure"] == ["error", "why"]
    assert len(seen.trials_dataframe()) == 3


def test_trials_made_by_others_are_left_alone(study: Study, where: str) -> None:
    other = opened(where)
    other.enqueue_trial({"x": 1.0})
    other.ask()
    other.enqueue_trial({"x": 2.0})
    start(study, TrialSpec(1, 0, 0))
    study.fail_unfinished(Failure("lost", "why"))
    assert [trial.state.name for trial in opened(where).trials] == ["RUNNING", "WAITING", "FAIL"]
    assert study.observations() == {}


def test_an_end_that_was_written_already_is_no_error(study: Study, where: str) -> None:
    """As when a server falls silent after the last write and before its answer."""
    trial = start(study, TrialSpec(2, 0, 0))
    seen = [evaluation(2, 0, 1)]
    study.complete(trial, seen, observe(TrialSpec(2, 0, 0), seen))
    study.complete(trial, seen, observe(TrialSpec(2, 0, 0), seen))
    study.fail(trial, Failure("lost", "why"))
    assert [trial.state.name for trial in opened(where).trials] == ["COMPLETE"]


def test_a_study_about_something_else_is_refused(study: Study, where: str) -> None:
    study.close()
    with pytest.raises(UserError, match="already holds a study 'toy' with another configuration"):
        Study.open(where, "toy", "that")
    with Study.open(where, "toy", "this") as again:
        assert again.observations() == {}


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql+psycopg://me:secret@localhost:1/x",
        "nonsense://me:secret@x",
        "sqlite:////no/such/folder/x.db",
    ],
)
def test_a_storage_that_cannot_be_opened(storage: str) -> None:
    with pytest.raises(UserError, match=r"--storage .* cannot be opened") as caught:
        Study.open(storage, "toy")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("postgresql+psycopg://me:s3cr%2Fet@host:5432/x", ("s3cr%2Fet", "s3cr/et")),
        ("postgresql+psycopg://me:s3cr@et@host/x", ("s3cr@et",)),
        ("postgresql+psycopg://host/x?user=me&password=s3cret", ("s3cret",)),
    ],
)
def test_no_message_shows_a_password(address: str, secrets: tuple[str, ...]) -> None:
    words = hidden(f"{address}: no {' or '.join(secrets)} for me at host", address)
    assert words.startswith("postgresql+psycopg://")
    assert words.endswith("for me at host")
    assert not [secret for secret in secrets if secret in words]


def test_half_a_line_at_the_end_of_a_journal_is_cut_off(tmp_path: Path) -> None:
    where = address("journal", tmp_path)
    journal = tmp_path / "study.log"
    with Study.open(where, "toy") as study:
        start(study, TrialSpec(1, 0, 0))
        whole = journal.read_text()
        journal.write_text(whole + '{"op_code":8,"worker_id":"x","trial_')
        start(study, TrialSpec(2, 0, 0))
    journal.write_bytes(journal.read_bytes() + b"\0" * 50 + b"\n")
    with Study.open(where, "toy"):
        assert [trial.params["candidate"] for trial in opened(where).trials] == [1, 2]
    assert journal.read_text().startswith(whole)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_who_opens_a_journal_cuts_no_line_off_that_another_is_writing(tmp_path: Path) -> None:
    where, journal = address("journal", tmp_path), tmp_path / "study.log"
    with Study.open(where, "toy") as study:
        start(study, TrialSpec(1, 0, 0))
    whole = journal.read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    other = threading.Thread(target=lambda: Study.open(where, "another").close())
    with filelock.FileLock(tmp_path / ".study.log.write"):  # as who writes holds it
        journal.write_bytes(whole + line[:50])
        other.start()
        other.join(0.5)
        assert journal.read_bytes() == whole + line[:50]
        journal.write_bytes(whole + line)
    other.join(PATIENCE)
    assert journal.read_bytes().startswith(whole + line)
    assert [trial.params["candidate"] for trial in opened(where).trials] == [1, 1]


def test_a_damaged_line_in_the_midst_of_a_journal_is_named(tmp_path: Path) -> None:
    where = address("journal", tmp_path)
    with Study.open(where, "toy") as study:
        start(study, TrialSpec(1, 0, 0))
    lines = (tmp_path / "study.log").read_text().splitlines(keepends=True)
    damaged = "".join([lines[0], lines[1][:-20] + "\n", *lines[2:]])
    (tmp_path / "study.log").write_text(damaged)
    with pytest.raises(UserError, match=r"line 2 of .*study\.log is damaged: put back"):
        Study.open(where, "toy")
    assert (tmp_path / "study.log").read_text() == damaged


#: What evaluations of a training over three rungs cannot be.
IMPOSSIBLE: dict[str, Callable[[list[list[Any]]], object]] = {
    "an accuracy of text": lambda e: e[0].__setitem__(3, "x"),
    "an accuracy above 1": lambda e: e[0].__setitem__(3, 5.0),
    "an accuracy below 0": lambda e: e[2].__setitem__(3, -0.1),
    "no accuracy": lambda e: e[1].__setitem__(3, None),
    "an accuracy that is true": lambda e: e[1].__setitem__(3, True),
    "no loss": lambda e: e[1].__setitem__(4, None),
    "an infinite loss": lambda e: e[1].__setitem__(4, math.inf),
    "epochs of text": lambda e: e[0].__setitem__(0, "1"),
    "half an epoch": lambda e: e[0].__setitem__(0, 0.5),
    "no epoch": lambda e: e[0].__setitem__(0, 0),
    "the same epoch twice": lambda e: e[1].__setitem__(0, 1),
    "epochs backwards": lambda e: e.reverse(),
    "images without end": lambda e: e[0].__setitem__(1, 10**400),
    "no FLOPs": lambda e: e[0].__setitem__(2, 0),
    "seconds below 0": lambda e: e[0].__setitem__(5, -1.0),
    "diverged by a word": lambda e: e[2].__setitem__(6, "no"),
    "a micro-batch of text": lambda e: e[2].__setitem__(7, "8"),
    "an end in the midst": lambda e: e[0].__setitem__(6, True),
    "a value too many": lambda e: e[0].append(1),
    "too few values": lambda e: e[0].__delitem__(slice(3, None)),
    "too few evaluations": lambda e: e.pop(),
    "too many evaluations": lambda e: e.append([8, *e[2][1:]]),
    "no evaluations": lambda e: e.clear(),
    "a number in place of an evaluation": lambda e: e.__setitem__(0, 5),  # type: ignore[call-overload]
}


@pytest.mark.parametrize(
    ("storage", "wrong"),
    [*(("journal", wrong) for wrong in IMPOSSIBLE), ("sqlite", "an accuracy of text")],
)
def test_a_training_that_cannot_have_been_is_not_believed(storage: str, wrong: str, tmp_path: Path) -> None:
    where = address(storage, tmp_path)
    evaluations = [list(astuple(evaluation(2, 1, epochs))) for epochs in (1, 2, 4)]
    IMPOSSIBLE[wrong](evaluations)
    with Study.open(where, "toy") as study:
        complete(study, TrialSpec(1, 0, 0), [evaluation(1, 0, 1)])
        trial = start(study, TrialSpec(2, 1, 2), SHOWN)
        study._storage.set_trial_user_attr(trial, "evaluations", evaluations)
        study._storage.set_trial_state_values(trial, optuna.trial.TrialState.COMPLETE, [0.5])
    said = r"trial 1 of .*study\.(log|db) is damaged: put back a copy of the file, or remove it"
    with Study.open(where, "toy") as again, pytest.raises(UserError, match=said):
        again.observations()


Record = dict[str, Any]

FIRST = r"trial 0 of .*study\.log is damaged: put back a copy"


def changed_journal(folder: Path, which: Callable[[Record], bool], change: Callable[[Record], object]) -> int:
    """A study of one training, the first such record changed or, where ``change`` says False, removed.

    Gives its line.
    """
    journal = folder / "study.log"
    with Study.open(str(journal), "toy") as study:
        complete(study, TrialSpec(2, 1, 2), [evaluation(2, 1, epochs) for epochs in (1, 2, 4)])
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    found = next(n for n, record in enumerate(records) if which(record))
    if change(records[found]) is False:
        del records[found]
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    return found + 1


@pytest.mark.parametrize(
    ("op_code", "change"),
    [
        (0, lambda r: r.pop("directions")),
        (0, lambda r: r.update(directions=[7])),
        (0, lambda r: r.pop("study_name")),
        (2, lambda r: r.update(user_attr=5)),
        (4, lambda r: r.pop("study_id")),
        (4, lambda r: r.update(datetime_start="yesterday")),
        (4, lambda r: r.update(state=99)),
        (4, lambda r: r["distributions"].update(rung="{}")),
        (4, lambda r: r["params"].update(rung="x")),
        (6, lambda r: r.pop("trial_id")),
        (6, lambda r: r.update(state="done")),
        (6, lambda r: r.pop("values")),
        (6, lambda r: r.update(datetime_complete=5)),
        (7, lambda r: r.update(op_code=99)),
        (7, lambda r: r.pop("step")),
        (8, lambda r: r.update(user_attr=["loss"])),
    ],
)
def test_a_record_that_optuna_cannot_read_is_named(
    op_code: int, change: Callable[[Record], object], tmp_path: Path
) -> None:
    line = changed_journal(tmp_path, lambda r: r["op_code"] == op_code, change)
    before = (tmp_path / "study.log").read_bytes()
    with pytest.raises(UserError) as caught:
        Study.open(str(tmp_path / "study.log"), "toy")
    assert str(caught.value).startswith(f"line {line} of {tmp_path / 'study.log'} is damaged: put back")
    assert (tmp_path / "study.log").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec.pop(),
        lambda spec: spec.append(0),
        lambda spec: spec.__setitem__(0, -1),
        lambda spec: spec.__setitem__(1, 0.5),
        lambda spec: spec.__setitem__(2, "x"),
        lambda spec: spec.__setitem__(1, True),
        lambda spec: spec.__setitem__(0, 3),  # another than among the parameters
    ],
)
def test_a_spec_that_is_none_is_not_believed(change: Callable[[list[Any]], object], tmp_path: Path) -> None:
    changed_journal(tmp_path, lambda r: r["op_code"] == 4, lambda r: change(r["user_attrs"]["spec"]))
    with Study.open(str(tmp_path / "study.log"), "toy") as again, pytest.raises(UserError, match=FIRST):
        again.observations()


def test_a_complete_training_whose_evaluations_are_gone_is_not_believed(tmp_path: Path) -> None:
    changed_journal(tmp_path, lambda r: "evaluations" in r.get("user_attr", ()), lambda r: False)
    with Study.open(str(tmp_path / "study.log"), "toy") as again, pytest.raises(UserError, match=FIRST):
        again.observations()


def test_what_came_of_a_training_whose_beginning_is_gone_is_not_anothers(tmp_path: Path) -> None:
    """A journal counts its trials: without the first one's line the second takes its place."""
    journal, specs = tmp_path / "study.log", (TrialSpec(1, 0, 0), TrialSpec(2, 1, 0), TrialSpec(2, 0, 0))
    with Study.open(str(journal), "toy") as study:
        at_once = [(start(study, spec), spec) for spec in specs]
        for trial, spec in at_once:
            seen = [evaluation(spec.candidate, spec.seed_index, 1)]
            study.complete(trial, seen, observe(spec, seen))
    lines = journal.read_text().splitlines(keepends=True)
    begun = [n for n, line in enumerate(lines) if json.loads(line)["op_code"] == 4]
    assert len(begun) == len(specs)
    journal.write_text("".join(lines[: begun[0]] + lines[begun[0] + 1 :]))
    with Study.open(str(journal), "toy") as again, pytest.raises(UserError, match=FIRST):
        again.observations()


def test_a_complete_training_whose_attributes_are_a_number_is_not_believed(tmp_path: Path) -> None:
    changed_journal(tmp_path, lambda r: r["op_code"] == 4, lambda r: r.update(user_attrs=5, state=1))
    with Study.open(str(tmp_path / "study.log"), "toy") as again, pytest.raises(UserError, match=FIRST):
        again.observations()


def test_a_damaged_cell_of_a_database_is_not_believed(tmp_path: Path) -> None:
    where = address("sqlite", tmp_path)
    with Study.open(where, "toy") as study:
        complete(study, TrialSpec(1, 0, 0), [evaluation(1, 0, 1)])
    with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
        database.execute("UPDATE trial_user_attributes SET value_json = '[' WHERE key = 'evaluations'")
    with (
        Study.open(where, "toy") as again,
        pytest.raises(UserError, match=r"a trial of sqlite:.* is damaged: put back a copy of the file"),
    ):
        again.observations()


def test_a_full_disk_is_a_failure_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = address("journal", tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with Study.open(where, "toy") as study:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(MachineError, match="the disk is full"):
                start(study, TrialSpec(1, 0, 0))
        start(study, TrialSpec(1, 0, 0))
        assert {trial.params["candidate"] for trial in opened(where).trials} == {1}


# --- trials.csv ------------------------------------------------------------------------------------------


def test_trials_as_a_table(tmp_path: Path) -> None:
    seen = observe(TrialSpec(1, 0, 1), [evaluation(1, 0, 1), evaluation(1, 0, 2)])
    seen += observe(TrialSpec(0, 1, 0), [Evaluation(1, 64, 10**13, 0.1, math.nan, 1 / 3, diverged=True)])
    path = tmp_path / "trials.csv"
    path.write_text(csv_text(trials_table(seen), FORMATS))
    lines = path.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1] == "0,1,0,1,64,10000000000000,0.000000,,0.333,diverged,0"
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
