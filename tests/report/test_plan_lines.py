"""What a plan says of the time that it takes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from scaler.report.answers.search import longer
from scaler.words import counted


@pytest.mark.parametrize(
    ("seconds", "asked", "said"),
    [(12.0, 5.0, True), (66.0, 60.0, False), (30.0, 60.0, False), (500.0, None, False)],
)
def test_a_plan_that_takes_longer_than_asked_says_so(seconds: float, asked: float | None, said: bool) -> None:
    work = SimpleNamespace(seconds=seconds, settings=SimpleNamespace(time_budget=asked))
    lines = list(longer(cast(Any, work)))
    assert len(lines) == said
    assert all("longer than the 5 s asked for" in line for line in lines)


def test_one_is_not_several() -> None:
    assert [counted(n, "epoch") for n in (0, 1, 1200)] == ["0 epochs", "1 epoch", "1,200 epochs"]
