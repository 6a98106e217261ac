"""Synchronous successive halving (Jamieson & Talwalkar, AISTATS 2016, algorithm 1), with paired seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scaler.errors import UserError
from scaler.search.types import Contest, Observation, Task


@dataclass(frozen=True)
class Halving:
    """All candidates start with the seeds of repetition 0; at every rung only the best part goes on.

    Those that reach the last rung are trained to it with the seeds of all repetitions. Within a
    rung all candidates are compared on the same repetition, hence on the same images in the same order.

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

    def ask(self, contest: Contest, seen: Sequence[Observation]) -> list[Task]:
        """What is missing at the first rung that is not complete."""
        found = {Task(o.candidate, o.repetition, o.rung): o for o in seen}
        field = list(range(len(contest.shares)))
        last = len(contest.rungs) - 1
        for rung in range(last):
            tasks = [Task(candidate, 0, rung) for candidate in field]
            if missing := [task for task in tasks if task not in found]:
                return missing
            field = self._best([found[task] for task in tasks])
        finals = [Task(candidate, r, last) for candidate in field for r in range(contest.repetitions)]
        return [task for task in finals if task not in found]

    def _best(self, field: Sequence[Observation]) -> list[int]:
        """Candidates that go on, by id. Diverged ones rank last; the smaller id wins a tie."""
        ranked = sorted(field, key=lambda o: (o.state != "complete", -o.accuracy, o.candidate))
        # The small number keeps a third of 9 at 3 where the quotient is not exact.
        count = max(self.least, math.ceil(len(ranked) * self.keep - 1e-9))
        return sorted(o.candidate for o in ranked[:count])
