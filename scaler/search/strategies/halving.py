"""Synchronous successive halving (Jamieson & Talwalkar, AISTATS 2016, algorithm 1), with paired seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaler.errors import UserError
from scaler.execution.protocol import Experiment, Observation, TrialSpec


@dataclass(frozen=True)
class Halving:
    """All candidates start with the first seed; at every rung only the best part goes on.

    Those that reach the last rung are trained to it with all seeds. Within a
    rung all candidates are compared with the same seed, hence on the same images in the same order.

    Attributes:
        keep: part of the candidates that goes on from each rung.
        least: as many go on in any case (or all, where there are fewer).

    Raises:
        UserError: ``keep`` is not within (0, 1], or ``least`` below 1.
    """

    name = "halving"
    keep: float = 1 / 3
    least: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UserError(f"halving: keep must be above 0 and at most 1, not {self.keep:g}.")
        if self.least < 1:
            raise UserError(f"halving: least must be at least 1, not {self.least}.")

    def ask(self, experiment: Experiment, seen: Sequence[Observation]) -> list[TrialSpec]:
        """What is missing at the first rung that is not complete."""
        found = {TrialSpec(o.candidate, o.seed_index, o.rung): o for o in seen}
        field = list(range(len(experiment.shares)))
        last = len(experiment.rungs) - 1
        for rung in range(last):
            trials = [TrialSpec(candidate, 0, rung) for candidate in field]
            if missing := [trial for trial in trials if trial not in found]:
                return missing
            field = self._best([found[trial] for trial in trials])
        finals = [TrialSpec(candidate, r, last) for candidate in field for r in range(experiment.max_seeds)]
        return [trial for trial in finals if trial not in found]

    def _best(self, field: Sequence[Observation]) -> list[int]:
        """Candidates that go on, by id. Diverged ones rank last; the smaller id wins a tie."""
        ranked = sorted(field, key=lambda o: (o.state != "complete", -o.accuracy, o.candidate))
        # The small number keeps a third of 9 at 3 where the quotient is not exact.
        count = max(self.least, math.ceil(len(ranked) * self.keep - 1e-9))
        return sorted(o.candidate for o in ranked[:count])
