"""The loop of a search: ask the strategy, run what it asks for, and again, until it asks for nothing."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scaler.errors import MachineError, UserError
from scaler.execution.executors.executor import Executor, Failure, OnEpoch, Outcome
from scaler.execution.plan import simulated_plan
from scaler.execution.protocol import Experiment, Observation, Strategy, TrialSpec
from scaler.execution.study import Study
from scaler.execution.training_cost import highest_rungs, spent_flops
from scaler.execution.trials_table import observe

#: A training that raised is tried so many times. So many workers may die at one without an epoch gained.
TRIES, DEATHS = 3, 3
#: So many workers may die in a row without an epoch gained anywhere.
DEATHS_IN_A_ROW = 8
#: Seconds that the leader waits for the next training to end.
PATIENCE = 1.0

#: Told of the training FLOPs done, and of those of the whole search (an estimate until it is over).
OnProgress = Callable[[float, float], None]
#: Told of all that was seen so far.
OnBatch = Callable[[Sequence[Observation]], None]
Known = Mapping[TrialSpec, Observation]


def search(
    experiment: Experiment,
    strategy: Strategy,
    executor: Executor,
    study: Study,
    *,
    attributes: Sequence[Mapping[str, Any]] = (),
    on_progress: OnProgress = lambda done, total: None,
    on_batch: OnBatch = lambda seen: None,
) -> list[Observation]:
    """Run a search to its end, from wherever its study stands.

    The strategy is asked from the beginning, and is told of whole batches only, as it was the first time:
    wherever a search was interrupted, it takes the course that it would have taken.

    Args:
        experiment: what is compared.
        strategy: decides what is trained.
        executor: runs the trainings; this function alone writes what comes of them.
        study: as :meth:`~scaler.execution.study.Study.open` gives it.
        attributes: of each candidate, to be shown with its trials.
        on_progress: called in this process at the start, and when an epoch or a training has ended.
        on_batch: called in this process when a batch has ended.

    Returns:
        What the strategy saw, by candidate, seed index and rung.

    Raises:
        MachineError: a training failed again and again, or the disk is full.
        UserError: a training said so (an unreadable image, say).
    """
    asked: list[TrialSpec] = []
    seen: list[Observation] = []
    try:
        total = simulated_plan(strategy, experiment, images=0).train_flops
        leader = _Leader(experiment, study, executor, attributes)
    except BaseException:
        executor.close()  # or a cluster would stay joined
        raise
    try:
        while batch := _next_batch(strategy, experiment, seen):
            asked += batch
            total = max(total, _flops(experiment, asked))
            for known, epochs in leader.run(batch):
                on_progress(_flops_done(experiment, asked, known, epochs), total)
            seen = _told(asked, leader.known)
            on_batch(seen)
    except BaseException:
        with contextlib.suppress(UserError, MachineError):  # what ends the search is told, not what follows
            leader.stop()
        raise
    leader.stop()
    on_progress(_flops(experiment, asked), _flops(experiment, asked))
    return seen


# --- what the strategy asks and is told ------------------------------------------------------------------


def _next_batch(strategy: Strategy, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
    """What the strategy asks for; of several rungs of one training the highest, which passes the others."""
    tops = _tops(strategy.ask(experiment, seen))
    told = {TrialSpec(o.candidate, o.seed_index, o.rung) for o in seen}
    if tops and told.issuperset(tops):
        raise RuntimeError(f"strategy {strategy.name} asks only for what it has seen")
    return [spec for spec in tops if spec not in told]


def _tops(trials: Iterable[TrialSpec]) -> list[TrialSpec]:
    """The highest rung of every training."""
    return [TrialSpec(*training, rung) for training, rung in highest_rungs(trials).items()]


def _told(asked: Iterable[TrialSpec], known: Known) -> list[Observation]:
    """Every rung up to those asked for, and none beyond, whatever else the study holds."""
    specs = [replace(top, rung=rung) for top in _tops(asked) for rung in range(top.rung + 1)]
    seen = [observation for spec in specs if (observation := _answer(spec, known)) is not None]
    return sorted(seen, key=lambda o: (o.candidate, o.seed_index, o.rung))


def _answer(spec: TrialSpec, known: Known) -> Observation | None:
    """What is known of a spec. A training that came to its end early stands for its later rungs."""
    if spec in known:
        return known[spec]
    for rung in range(spec.rung):
        earlier = known.get(replace(spec, rung=rung))
        if earlier is not None and earlier.state != "complete":
            return replace(earlier, rung=spec.rung)
    return None


def _flops(experiment: Experiment, asked: Iterable[TrialSpec]) -> float:
    """Training FLOPs of all that was asked for."""
    return spent_flops(experiment, highest_rungs(asked))


def _flops_done(
    experiment: Experiment, asked: Iterable[TrialSpec], known: Known, epochs: Mapping[TrialSpec, int]
) -> float:
    """Training FLOPs behind all that was asked for; ``epochs`` of those that are under way."""

    def done(top: TrialSpec) -> float:
        behind = _flops_behind(experiment, top, known)
        return max(behind, experiment.epoch_flops[top.candidate] * epochs.get(top, 0))

    return sum(done(top) for top in _tops(asked))


def _flops_behind(experiment: Experiment, spec: TrialSpec, known: Known) -> float:
    """Training FLOPs up to the highest rung that is known of a spec's training."""
    for rung in range(spec.rung, -1, -1):
        if _answer(replace(spec, rung=rung), known) is not None:
            return experiment.epoch_flops[spec.candidate] * experiment.rungs[rung]
    return 0.0


# --- running a batch -------------------------------------------------------------------------------------


class _Leader:
    """Hands trainings out, writes what comes of them, and hands out again what was lost."""

    def __init__(
        self,
        experiment: Experiment,
        study: Study,
        executor: Executor,
        attributes: Sequence[Mapping[str, Any]],
    ) -> None:
        self._experiment = experiment
        self._study = study
        self._executor = executor
        self._attributes = attributes
        #: What the study held, and what came since.
        self.known = study.observations()
        self._out: dict[TrialSpec, int] = {}
        self._epochs: dict[TrialSpec, int] = {}
        self._moved = False
        self._failures: Counter[tuple[TrialSpec, str]] = Counter()
        self._deaths = 0
        study.fail_unfinished(Failure("lost", "the process that led the search ended"))

    def run(self, batch: Sequence[TrialSpec]) -> Iterator[tuple[Known, Mapping[TrialSpec, int]]]:
        """Run specs until all are done; yields what is known and the epochs of the others, as they grow.

        Raises:
            MachineError, UserError: a spec cannot be done.
        """
        left = [spec for spec in batch if _answer(spec, self.known) is None]
        left.sort(key=self._order, reverse=True)
        yield self.known, self._epochs
        while left or self._out:
            while left and len(self._out) < self._executor.slots:
                self._hand_out(left.pop())
            ended = self._executor.wait(PATIENCE)
            for spec, outcome in ended:
                if not self._take_in(spec, outcome):
                    left.append(spec)
            if ended or self._moved:
                self._moved = False
                yield self.known, self._epochs

    def stop(self) -> None:
        """Leave nothing in the study that looks as if it went on."""
        self._executor.close()
        self._study.fail_unfinished(Failure("interrupted", "the search was interrupted"))

    def _order(self, spec: TrialSpec) -> tuple[float, TrialSpec]:
        """The longest first, so that no worker is left alone with a long one at the end."""
        flops = self._experiment.epoch_flops[spec.candidate] * self._experiment.rungs[spec.rung]
        return _flops_behind(self._experiment, spec, self.known) - flops, spec

    def _hand_out(self, spec: TrialSpec) -> None:
        shown = self._attributes[spec.candidate] if self._attributes else {}
        self._out[spec] = self._study.start(spec, self._experiment, shown)
        self._executor.submit(spec, self._on_epoch(spec))

    def _on_epoch(self, spec: TrialSpec) -> OnEpoch:
        def on_epoch(epochs: int) -> None:
            if epochs > self._epochs.get(spec, 0):
                self._epochs[spec] = epochs
                self._moved = True
                self._deaths = self._failures[spec, "lost"] = 0

        return on_epoch

    def _take_in(self, spec: TrialSpec, outcome: Outcome) -> bool:
        """Write what came of a training; false if it is to be done again."""
        trial = self._out.pop(spec)
        if not isinstance(outcome, Failure):
            try:
                observed = observe(spec, outcome)
            except ValueError as error:
                outcome = Failure("error", str(error))
        if isinstance(outcome, Failure):
            self._study.fail(trial, outcome)
            self._judge(spec, outcome)
            return False
        self._study.complete(trial, outcome, observed)
        for seen in observed:
            self.known.setdefault(TrialSpec(seen.candidate, seen.seed_index, seen.rung), seen)
        self._epochs.pop(spec, None)
        self._deaths = 0
        return True

    def _judge(self, spec: TrialSpec, failure: Failure) -> None:
        """Give up on a spec that failed too often, or that no second try can mend."""
        if failure.kind == "UserError":
            raise UserError(failure.reason)
        if failure.kind == "MachineError":
            raise MachineError(failure.reason)
        if failure.kind == "evicted":
            return
        self._failures[spec, failure.kind] += 1
        failed = self._failures[spec, failure.kind]
        if failed >= (DEATHS if failure.kind == "lost" else TRIES):
            raise MachineError(
                f"training candidate {spec.candidate} with seed index {spec.seed_index} failed {failed} "
                f"times: {failure.reason}. The same command goes on from here."
            )
        self._deaths += failure.kind == "lost"
        if self._deaths >= DEATHS_IN_A_ROW:
            raise MachineError(
                f"workers die one after the other ({failure.reason}): see whether memory is short, "
                "or try --workers 1 to see why."
            )
