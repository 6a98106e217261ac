"""The memory of a search: an Optuna study in which every training is a trial.

With :mod:`scaler.search.storage`, and strategies that play Optuna's own samplers, the only place that knows
Optuna. Its samplers have no part in this: what is trained next is a strategy's matter, and trials are
addressed by their task. The study is an ordinary one, which ``optuna-dashboard results/NAME/study.log``
opens (``pip install optuna-dashboard``) while the search runs or later.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal

from optuna.distributions import IntDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from scaler.errors import UserError
from scaler.search.owner import known_dead, this_process
from scaler.search.storage import claim_lock, open_storage, storage_errors
from scaler.search.trials import observe
from scaler.search.types import Contest, Observation, Task
from scaler.training.recipe import Evaluation

#: A trial whose process has not been heard of for so many seconds is taken for lost.
STALE_AFTER = 300.0

FailureKind = Literal["error", "lost", "interrupted", "UserError", "MachineError"]

_STATUS: dict[TrialState, Literal["waiting", "running", "complete", "failed"]] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "failed",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class StudyAddress:
    """Where a study is, for other processes.

    Attributes:
        storage: path of a journal, or a URL.
        name: of the study; the run's.
    """

    storage: str
    name: str


@dataclass(frozen=True)
class Failure:
    """Why a trial failed."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True)
class Trial:
    """A task in the study.

    Attributes:
        id: of the storage.
        number: in the study, by age.
        task: what is trained.
        status: where it stands.
        owner: the process that took it, as :func:`~scaler.search.owner.this_process` names it.
        heard: when its process was last heard of (seconds since 1970).
        evaluations: what came out, one per rung.
        failure: why it failed.
    """

    id: int
    number: int
    task: Task
    status: Literal["waiting", "running", "complete", "failed"]
    owner: str
    heard: float
    evaluations: tuple[Evaluation, ...]
    failure: Failure | None


class Study:
    """A study that is open. Threads and processes may work on it together; each opens its own."""

    def __init__(self, address: StudyAddress, storage: BaseStorage, study_id: int) -> None:
        self.address = address
        self._storage = storage
        self._id = study_id
        self._me = this_process()

    # --- opening -----------------------------------------------------------------------------------------

    @classmethod
    def create(cls, address: StudyAddress, configuration: str = "") -> Study:
        """Create a study or open the one that is there; for the process that leads the search.

        Args:
            address: where.
            configuration: what the study is about, in any words; kept to tell two of one name apart.

        Raises:
            UserError: the storage cannot be opened, or holds a study of that name about something else.
        """
        storage = open_storage(address.storage, create=True)
        with storage_errors(address.storage):
            try:
                study_id = storage.create_new_study([StudyDirection.MAXIMIZE], address.name)
                storage.set_study_user_attr(study_id, "configuration", configuration)
                storage.set_study_system_attr(study_id, "study:metric_names", ["accuracy"])
            except DuplicatedStudyError:
                study_id = storage.get_study_id_from_name(address.name)
            study = cls(address, storage, study_id)
            kept = storage.get_study_user_attrs(study_id).get("configuration", configuration)
            if kept != configuration:
                raise UserError(
                    f"the storage already holds a study '{address.name}' with another configuration: "
                    "choose another --name."
                )
        return study

    @classmethod
    def join(cls, address: StudyAddress) -> Study:
        """Open a study that another process has created; for workers.

        Raises:
            UserError: there is none.
        """
        storage = open_storage(address.storage, create=False)
        with storage_errors(address.storage):
            try:
                return cls(address, storage, storage.get_study_id_from_name(address.name))
            except KeyError:
                raise UserError(f"the storage holds no study '{address.name}'.") from None

    def set_finished(self, finished: bool) -> None:
        """Tell workers on other machines whether more is to come."""
        with storage_errors(self.address.storage):
            self._storage.set_study_user_attr(self._id, "finished", finished)

    @property
    def finished(self) -> bool:
        """Whether the search is over."""
        with storage_errors(self.address.storage):
            return bool(self._storage.get_study_user_attrs(self._id).get("finished", False))

    # --- reading -----------------------------------------------------------------------------------------

    def trials(self) -> list[Trial]:
        """All trials that stand for a task, oldest first; others (made by hand) are passed over."""
        with storage_errors(self.address.storage):
            frozen = self._storage.get_all_trials(self._id, deepcopy=False)
        return [_trial(trial) for trial in frozen if _is_task(trial)]

    def observations(self) -> list[Observation]:
        """What has been seen, by candidate, repetition and rung, each once."""
        return sorted(observations_of(self.trials()).values(), key=_order)

    # --- for the process that leads ----------------------------------------------------------------------

    def enqueue(
        self, tasks: Iterable[Task], contest: Contest, attributes: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Put tasks in the queue, in this order, but for those that wait, run or are done already.

        Args:
            tasks: what to train.
            contest: for the bounds of candidates, repetitions and rungs.
            attributes: of each candidate, for whoever looks at the study (shares, coefficients, costs).
        """
        with storage_errors(self.address.storage), claim_lock(self.address.storage):
            alive = {trial.task for trial in self.trials() if trial.status != "failed"}
            for task in dict.fromkeys(tasks):
                if task not in alive:
                    shown = attributes[task.candidate] if attributes else {}
                    template = _template(task, contest, shown)
                    self._storage.create_new_trial(self._id, template)

    def release_lost(self) -> list[Trial]:
        """Fail the trials whose process has died or was not heard of for long; gives them."""
        now = time.time()
        lost = [trial for trial in self.trials() if trial.status == "running" and _is_lost(trial, now)]
        for trial in lost:
            self.fail(trial, Failure("lost", f"its process {trial.owner or '(unknown)'} ended"))
        return lost

    # --- for the process that works ----------------------------------------------------------------------

    def claim(self) -> Trial | None:
        """Take the oldest task of the queue for this process; none if the queue is empty."""
        if not self._waiting():
            return None
        with storage_errors(self.address.storage), claim_lock(self.address.storage):
            for trial in self._waiting():
                if self._take(trial.id):
                    return trial
        return None

    def _waiting(self) -> list[Trial]:
        with storage_errors(self.address.storage):
            frozen = self._storage.get_all_trials(self._id, deepcopy=False, states=(TrialState.WAITING,))
        return [_trial(trial) for trial in frozen if _is_task(trial)]

    def _take(self, trial_id: int) -> bool:
        # The owner comes first, so that one killed in between leaves a task that waits; and again after,
        # for on a server, where no lock keeps others out, another may have written its name meanwhile.
        try:
            self._storage.set_trial_user_attr(trial_id, "worker", self._me)
            if not self._storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                return False
            if isinstance(claim_lock(self.address.storage), contextlib.nullcontext):
                self._storage.set_trial_user_attr(trial_id, "worker", self._me)
            return True
        except UpdateFinishedTrialError:
            return False

    def beat(self, trial: Trial) -> None:
        """Say that this process is still at it."""
        self._update(trial, {"heard": time.time()})

    def complete(self, trial: Trial, evaluations: Sequence[Evaluation]) -> None:
        """Record a training, one evaluation per rung; ignored if the trial was taken for lost meanwhile.

        Raises:
            ValueError: the evaluations do not fit the task.
        """
        last = observe(trial.task, evaluations)[-1]
        attributes: dict[str, Any] = {
            "evaluations": [_to_json(evaluation) for evaluation in evaluations],
            "loss": None if math.isnan(last.loss) else last.loss,
            "seconds": round(last.seconds, 3),
        }
        curve = {o.epochs: o.accuracy for o in observe(trial.task, evaluations)}
        self._update(trial, attributes, curve, TrialState.COMPLETE, [last.accuracy])

    def fail(self, trial: Trial, failure: Failure) -> None:
        """Record that a trial failed; ignored if it ended otherwise meanwhile."""
        self._update(trial, {"failure": astuple(failure)}, {}, TrialState.FAIL)

    def _update(
        self,
        trial: Trial,
        attributes: Mapping[str, Any],
        curve: Mapping[int, float] | None = None,
        state: TrialState | None = None,
        values: Sequence[float] | None = None,
    ) -> None:
        with storage_errors(self.address.storage), contextlib.suppress(UpdateFinishedTrialError):
            for step, accuracy in (curve or {}).items():
                self._storage.set_trial_intermediate_value(trial.id, step, accuracy)
            for key, value in attributes.items():
                self._storage.set_trial_user_attr(trial.id, key, value)
            if state is not None:
                self._storage.set_trial_state_values(trial.id, state, values)


def observations_of(trials: Iterable[Trial]) -> dict[Task, Observation]:
    """What complete trials tell about each task; of two that tell the same, the older counts."""
    known: dict[Task, Observation] = {}
    for trial in trials:
        if trial.status == "complete":
            for seen in observe(trial.task, trial.evaluations):
                known.setdefault(Task(seen.candidate, seen.repetition, seen.rung), seen)
    return known


def _order(observation: Observation) -> tuple[int, int, int]:
    return observation.candidate, observation.repetition, observation.rung


def _is_lost(trial: Trial, now: float) -> bool:
    return known_dead(trial.owner) or now - trial.heard > STALE_AFTER


def _template(task: Task, contest: Contest, attributes: Mapping[str, Any]) -> FrozenTrial:
    """A trial that waits, with its task as fixed parameters."""
    return create_trial(
        state=TrialState.WAITING,
        params={"candidate": task.candidate, "repetition": task.repetition, "rung": task.rung},
        distributions={
            "candidate": IntDistribution(0, max(len(contest.shares) - 1, task.candidate)),
            "repetition": IntDistribution(0, max(contest.repetitions - 1, task.repetition)),
            "rung": IntDistribution(0, len(contest.rungs) - 1),
        },
        user_attrs={"task": list(astuple(task)), **attributes},
    )


def _is_task(trial: FrozenTrial) -> bool:
    return "task" in trial.user_attrs


def _trial(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    failure = attributes.get("failure")
    return Trial(
        id=trial._trial_id,
        number=trial.number,
        task=Task(*attributes["task"]),
        status=_STATUS[trial.state],
        owner=attributes.get("worker", ""),
        heard=max(started, attributes.get("heard", 0.0)),
        evaluations=tuple(_from_json(values) for values in attributes.get("evaluations", ())),
        failure=Failure(*failure) if failure else None,
    )


def _to_json(evaluation: Evaluation) -> list[Any]:
    """As a list; NaN and infinity as null, which browsers can read."""
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in astuple(evaluation)]


def _from_json(values: Iterable[Any]) -> Evaluation:
    numbers: list[Any] = [math.nan if value is None else value for value in values]
    return Evaluation(*numbers)
