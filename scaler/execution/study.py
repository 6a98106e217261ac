"""The memory of a search: an Optuna study in which every training is a trial.

With :mod:`scaler.execution.storage`, and strategies that play Optuna's own samplers, the only place that
knows Optuna. Its samplers have no part in this: what is trained next is a strategy's matter, and trials are
addressed by their spec. The process that leads the search alone writes it: a trial is RUNNING while its
training is handed out, COMPLETE or FAIL after. The study is an ordinary one, which ``optuna-dashboard
results/NAME/study.log`` opens (``pip install optuna-dashboard``) while the search runs or later.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any, TypeVar

from optuna.distributions import IntDistribution
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from scaler.errors import UserError
from scaler.execution.executors.executor import Failure
from scaler.execution.protocol import Experiment, Observation, TrialSpec
from scaler.execution.storage import STUMBLES, damaged, leadership, open_storage, persistently, together
from scaler.execution.trials_table import observe
from scaler.training.recipe import Evaluation

T = TypeVar("T")

#: Larger numbers than this are none that a training could have come to.
_LARGEST = 1e24


class Study:
    """A study that is open, for the process that leads a search and writes it alone; a context manager."""

    def __init__(self, address: str, name: str, storage: BaseStorage) -> None:
        """As :meth:`open` does."""
        self._address = address
        self._storage = storage
        self._leadership = leadership(address, name)
        self._id = -1

    @classmethod
    def open(cls, address: str, name: str, configuration: str = "") -> Study:
        """Open a study, or create it where there is none.

        Args:
            address: path of a journal, or a URL.
            name: of the study; the run's.
            configuration: what the study is about, in any words; kept to tell two of one name apart.

        Raises:
            UserError: the storage cannot be opened, holds a study of that name about something else, or
                another process leads it.
        """
        study = cls(address, name, open_storage(address))
        try:
            study._do(study._leadership.hold)
            kept = study._do(lambda: study._find(name, configuration))
            if kept != configuration:
                raise UserError(
                    f"the storage already holds a study '{name}' with another configuration: "
                    "choose another --name."
                )
        except BaseException:
            study.close()
            raise
        return study

    def _find(self, name: str, configuration: str) -> str:
        """Find the study, or create it; gives its configuration."""
        with contextlib.suppress(DuplicatedStudyError):
            self._storage.create_new_study([StudyDirection.MAXIMIZE], name)
        self._id = self._storage.get_study_id_from_name(name)
        attributes = self._storage.get_study_user_attrs(self._id)
        if "configuration" not in attributes:
            self._storage.set_study_system_attr(self._id, "study:metric_names", ["accuracy"])
            self._storage.set_study_user_attr(self._id, "configuration", configuration)
        return str(attributes.get("configuration", configuration))

    def close(self) -> None:
        """Let others lead it."""
        self._leadership.release()
        if isinstance(self._storage, RDBStorage):
            self._storage.engine.dispose()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def observations(self) -> dict[TrialSpec, Observation]:
        """What complete trials tell about each spec; of two that tell the same, the older counts.

        Raises:
            UserError: a trial says what no training can have come to.
        """
        known: dict[TrialSpec, Observation] = {}
        for trial in self._trials(TrialState.COMPLETE):
            try:
                told = observe(_spec(trial), _evaluations(trial))
            except (LookupError, TypeError, ValueError):
                raise damaged(f"trial {trial.number}", self._address) from None
            for seen in told:
                known.setdefault(TrialSpec(seen.candidate, seen.seed_index, seen.rung), seen)
        return known

    def start(self, spec: TrialSpec, experiment: Experiment, attributes: Mapping[str, Any]) -> int:
        """Record that a training is handed out; gives the trial's id.

        Args:
            spec: what is trained.
            experiment: for the bounds of candidates, seed indices and rungs.
            attributes: of the candidate, for whoever looks at the study (shares, coefficients, costs).
        """
        template = _template(spec, experiment, attributes)

        def write() -> int:
            self._leadership.hold()
            return self._storage.create_new_trial(self._id, template)

        return self._do(write)

    def complete(
        self, trial_id: int, evaluations: Sequence[Evaluation], observed: Sequence[Observation]
    ) -> None:
        """Record what came of a training: one evaluation per rung, and what they say."""
        last = observed[-1]
        attributes = {
            # Trials of a journal are known by their place: where the line of an earlier one is gone, what
            # came of this one would be another's.
            "trained": [last.candidate, last.seed_index, last.rung],
            "evaluations": [_to_json(evaluation) for evaluation in evaluations],
            "loss": None if math.isnan(last.loss) else last.loss,
            "seconds": round(last.seconds, 3),
        }
        curve = {seen.epochs: seen.accuracy for seen in observed}
        self._end(trial_id, attributes, TrialState.COMPLETE, curve, [last.accuracy])

    def fail(self, trial_id: int, failure: Failure) -> None:
        """Record that a training failed."""
        self._end(trial_id, {"failure": astuple(failure)}, TrialState.FAIL)

    def _end(
        self,
        trial_id: int,
        attributes: Mapping[str, Any],
        state: TrialState,
        curve: Mapping[int, float] | None = None,
        values: Sequence[float] | None = None,
    ) -> None:
        def write() -> None:
            # Done before, if the connection broke between the last write and the answer to it.
            if self._storage.get_trial(trial_id).state.is_finished():
                return
            with together(self._storage):
                for step, accuracy in (curve or {}).items():
                    self._storage.set_trial_intermediate_value(trial_id, step, accuracy)
                for key, value in attributes.items():
                    self._storage.set_trial_user_attr(trial_id, key, value)
            self._storage.set_trial_state_values(trial_id, state, values)

        self._do(write)

    def fail_unfinished(self, failure: Failure) -> None:
        """Fail what looks as if it still went on."""
        for trial in self._trials(TrialState.RUNNING, TrialState.WAITING):
            self.fail(trial._trial_id, failure)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Trials that stand for a spec, oldest first; others (made by hand) are passed over."""

        def read() -> list[FrozenTrial]:
            try:
                return self._storage.get_all_trials(self._id, deepcopy=False, states=states)
            except STUMBLES:
                raise damaged("a trial", self._address) from None

        frozen = self._do(read)
        if odd := [trial for trial in frozen if not isinstance(trial.user_attrs, dict)]:
            raise damaged(f"trial {odd[0].number}", self._address)
        return [trial for trial in frozen if "spec" in trial.user_attrs]

    def _do(self, operation: Callable[[], T]) -> T:
        return persistently(self._address, self._leadership, operation)


def _template(spec: TrialSpec, experiment: Experiment, attributes: Mapping[str, Any]) -> FrozenTrial:
    """A trial that runs, with its spec as fixed parameters."""
    return create_trial(
        state=TrialState.RUNNING,
        params={"candidate": spec.candidate, "seed_index": spec.seed_index, "rung": spec.rung},
        distributions={
            "candidate": IntDistribution(0, max(len(experiment.epoch_flops) - 1, spec.candidate)),
            "seed_index": IntDistribution(0, max(experiment.max_seeds - 1, spec.seed_index)),
            "rung": IntDistribution(0, len(experiment.rungs) - 1),
        },
        user_attrs={"spec": list(astuple(spec)), **attributes},
    )


def _spec(trial: FrozenTrial) -> TrialSpec:
    """Raises ValueError or TypeError where it is none, or not that of the trial's parameters."""
    spec = TrialSpec(*trial.user_attrs["spec"])
    if trial.user_attrs.get("trained", list(astuple(spec))) != list(astuple(spec)):
        raise ValueError("trained")
    for name, value in asdict(spec).items():
        if not _within(value, 0, whole=True) or trial.params.get(name, value) != value:
            raise ValueError(name)
    return spec


def _evaluations(trial: FrozenTrial) -> list[Evaluation]:
    """Raises LookupError, ValueError or TypeError where no training can have given them."""
    found = [_from_json(values) for values in trial.user_attrs["evaluations"]]
    if not all(map(_is_sound, found)):
        raise ValueError("values")
    for earlier, later in itertools.pairwise(found):
        # A training that ended stands for its later rungs as well, and may end before its next epoch.
        if earlier.ended > later.ended or later.epochs < earlier.epochs + (not later.ended):
            raise ValueError("order")
    return found


def _is_sound(evaluation: Evaluation) -> bool:
    """Whether its values are in their ranges; one that ended says no accuracy, and may have seen nothing."""
    ended, least = evaluation.ended, 0 if evaluation.ended else 1
    return (
        isinstance(evaluation.diverged, bool)
        and isinstance(evaluation.too_large, bool)
        and _within(evaluation.epochs, least, whole=True)
        and _within(evaluation.images, least, whole=True)
        and _within(evaluation.train_flops, least)
        and _within(evaluation.micro_batch, 0, whole=True)
        and _within(evaluation.seconds, 0)
        and (ended or _within(evaluation.accuracy, 0, 1))
        and (ended or _within(evaluation.loss, 0, sys.float_info.max))
    )


def _within(value: object, least: float, most: float = _LARGEST, *, whole: bool = False) -> bool:
    """Whether it is a number in this range; NaN is in none."""
    kind = int if whole else (int, float)
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most


def _to_json(evaluation: Evaluation) -> list[Any]:
    """As a list; NaN and infinity as null, which browsers can read."""
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in astuple(evaluation)]


def _from_json(values: Iterable[Any]) -> Evaluation:
    numbers: list[Any] = [math.nan if value is None else value for value in values]
    return Evaluation(*numbers)
