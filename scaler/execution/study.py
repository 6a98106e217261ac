"""The memory of a search: an Optuna study in which every training is a trial.

With :mod:`scaler.execution.storage`, and strategies that play Optuna's own samplers, the only place that
knows Optuna. Its samplers have no part in this: what is trained next is a strategy's matter, and trials are
addressed by their spec. The study is an ordinary one, which ``optuna-dashboard results/NAME/study.log``
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
from scaler.execution.process_id import has_ended, this_process
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.storage import claim_lock, open_storage, storage_errors
from scaler.execution.trials_table import observe
from scaler.training.recipe import Evaluation

#: A trial whose process has not been last_heartbeat of for so many seconds is taken for lost.
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
class StoredTrial:
    """A spec in the study.

    Attributes:
        id: of the storage.
        number: in the study, by age.
        spec: what is trained.
        status: where it stands.
        process: the process that took it, as :func:`~scaler.execution.process_id.this_process` names it.
        last_heartbeat: when its process was last last_heartbeat of (seconds since 1970).
        evaluations: what came out, one per rung.
        failure: why it failed.
    """

    id: int
    number: int
    spec: TrialSpec
    status: Literal["waiting", "running", "complete", "failed"]
    process: str
    last_heartbeat: float
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

    def trials(self) -> list[StoredTrial]:
        """All trials that stand for a spec, oldest first; others (made by hand) are passed over."""
        with storage_errors(self.address.storage):
            frozen = self._storage.get_all_trials(self._id, deepcopy=False)
        return [_trial(trial) for trial in frozen if _is_trial(trial)]

    def observations(self) -> list[Observation]:
        """What has been seen, by candidate, seed index and rung, each once."""
        return sorted(observations_of(self.trials()).values(), key=_order)

    # --- for the process that leads ----------------------------------------------------------------------

    def enqueue(
        self, specs: Iterable[TrialSpec], experiment: Experiment, attributes: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Put specs in the queue, in this order, but for those that wait, run or are done already.

        Args:
            specs: what to train.
            experiment: for the bounds of candidates, seed indices and rungs.
            attributes: of each candidate, for whoever looks at the study (shares, coefficients, costs).
        """
        with storage_errors(self.address.storage), claim_lock(self.address.storage):
            alive = {trial.spec for trial in self.trials() if trial.status != "failed"}
            for spec in dict.fromkeys(specs):
                if spec not in alive:
                    shown = attributes[spec.candidate] if attributes else {}
                    template = _template(spec, experiment, shown)
                    self._storage.create_new_trial(self._id, template)

    def release_lost(self) -> list[StoredTrial]:
        """Fail the trials whose process has died or was not last_heartbeat of for long; gives them."""
        now = time.time()
        lost = [trial for trial in self.trials() if trial.status == "running" and _is_lost(trial, now)]
        for trial in lost:
            self.fail(trial, Failure("lost", f"its process {trial.process or '(unknown)'} ended"))
        return lost

    # --- for the process that works ----------------------------------------------------------------------

    def claim(self) -> StoredTrial | None:
        """Take the oldest spec of the queue for this process; none if the queue is empty."""
        if not self._waiting():
            return None
        with storage_errors(self.address.storage), claim_lock(self.address.storage):
            for trial in self._waiting():
                if self._take(trial.id):
                    return trial
        return None

    def _waiting(self) -> list[StoredTrial]:
        with storage_errors(self.address.storage):
            frozen = self._storage.get_all_trials(self._id, deepcopy=False, states=(TrialState.WAITING,))
        return [_trial(trial) for trial in frozen if _is_trial(trial)]

    def _take(self, trial_id: int) -> bool:
        # The process comes first, so that one killed in between leaves a spec that waits; and again after,
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

    def heartbeat(self, trial: StoredTrial) -> None:
        """Say that this process is still at it."""
        self._update(trial, {"last_heartbeat": time.time()})

    def complete(self, trial: StoredTrial, evaluations: Sequence[Evaluation]) -> None:
        """Record a training, one evaluation per rung; ignored if the trial was taken for lost meanwhile.

        Raises:
            ValueError: the evaluations do not fit the spec.
        """
        last = observe(trial.spec, evaluations)[-1]
        attributes: dict[str, Any] = {
            "evaluations": [_to_json(evaluation) for evaluation in evaluations],
            "loss": None if math.isnan(last.loss) else last.loss,
            "seconds": round(last.seconds, 3),
        }
        curve = {o.epochs: o.accuracy for o in observe(trial.spec, evaluations)}
        self._update(trial, attributes, curve, TrialState.COMPLETE, [last.accuracy])

    def fail(self, trial: StoredTrial, failure: Failure) -> None:
        """Record that a trial failed; ignored if it ended otherwise meanwhile."""
        self._update(trial, {"failure": astuple(failure)}, {}, TrialState.FAIL)

    def _update(
        self,
        trial: StoredTrial,
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


def observations_of(trials: Iterable[StoredTrial]) -> dict[TrialSpec, Observation]:
    """What complete trials tell about each spec; of two that tell the same, the older counts."""
    known: dict[TrialSpec, Observation] = {}
    for trial in trials:
        if trial.status == "complete":
            for seen in observe(trial.spec, trial.evaluations):
                known.setdefault(TrialSpec(seen.candidate, seen.seed_index, seen.rung), seen)
    return known


def _order(observation: Observation) -> tuple[int, int, int]:
    return observation.candidate, observation.seed_index, observation.rung


def _is_lost(trial: StoredTrial, now: float) -> bool:
    return has_ended(trial.process) or now - trial.last_heartbeat > STALE_AFTER


def _template(spec: TrialSpec, experiment: Experiment, attributes: Mapping[str, Any]) -> FrozenTrial:
    """A trial that waits, with its spec as fixed parameters."""
    return create_trial(
        state=TrialState.WAITING,
        params={"candidate": spec.candidate, "seed_index": spec.seed_index, "rung": spec.rung},
        distributions={
            "candidate": IntDistribution(0, max(len(experiment.epoch_flops) - 1, spec.candidate)),
            "seed_index": IntDistribution(0, max(experiment.max_seeds - 1, spec.seed_index)),
            "rung": IntDistribution(0, len(experiment.rungs) - 1),
        },
        user_attrs={"spec": list(astuple(spec)), **attributes},
    )


def _is_trial(trial: FrozenTrial) -> bool:
    return "spec" in trial.user_attrs


def _trial(trial: FrozenTrial) -> StoredTrial:
    attributes = trial.user_attrs
    started = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    failure = attributes.get("failure")
    return StoredTrial(
        id=trial._trial_id,
        number=trial.number,
        spec=TrialSpec(*attributes["spec"]),
        status=_STATUS[trial.state],
        process=attributes.get("worker", ""),
        last_heartbeat=max(started, attributes.get("last_heartbeat", 0.0)),
        evaluations=tuple(_from_json(values) for values in attributes.get("evaluations", ())),
        failure=Failure(*failure) if failure else None,
    )


def _to_json(evaluation: Evaluation) -> list[Any]:
    """As a list; NaN and infinity as null, which browsers can read."""
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in astuple(evaluation)]


def _from_json(values: Iterable[Any]) -> Evaluation:
    numbers: list[Any] = [math.nan if value is None else value for value in values]
    return Evaluation(*numbers)
