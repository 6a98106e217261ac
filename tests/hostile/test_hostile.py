"""Whatever comes in ends in one sentence, in seconds: nothing written, nothing printed steers a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile import world
from tests.hostile.case import Case
from tests.hostile.collect import PATIENCE, cases, outcome, quick
from tests.hostile.zygote import Zygote


@dataclass(frozen=True)
class Ground:
    """What all cases of a session share."""

    zygote: Zygote
    root: Path

    def template(self, runs: bool) -> Path:
        """The world, with finished runs where they are wanted; made when it is first asked for."""
        folder = self.root / ("runs" if runs else "bare")
        if not folder.exists():
            world.make(folder)
            if runs:
                world.add_runs(self.zygote, folder, self.root / "cache")
        return folder


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Zygote() as zygote:
        yield Ground(zygote, tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=() if is_quick else pytest.mark.slow)
        for case, is_quick in zip(cases(), quick(), strict=True)
    ],
)
def test_it_ends_in_one_sentence(ground: Ground, case: Case, tmp_path: Path) -> None:
    template = ground.template(case.runs)
    assert outcome(ground.zygote, case, template, tmp_path / "here", ground.root / "cache", PATIENCE) == []


def test_the_quick_cases_are_of_every_kind() -> None:
    chosen = [case for case, is_quick in zip(cases(), quick(), strict=True) if is_quick]
    assert len(chosen) >= 300
    assert {case.group for case in chosen} == {case.group for case in cases()}
