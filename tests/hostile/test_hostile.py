"""Whatever comes in ends in one sentence, in seconds: nothing written, nothing printed steers a terminal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile import world
from tests.hostile.case import Case
from tests.hostile.collect import PATIENCE, cases, outcome, quick
from tests.hostile.here import Here
from tests.hostile.zygote import Runner, Zygote, import_everything

QUICK = [case for case, is_quick in zip(cases(), quick(), strict=True) if is_quick]


@dataclass(frozen=True)
class Ground:
    """What all cases of a module share."""

    runner: Runner
    root: Path

    def faults(self, case: Case, folder: Path) -> list[str]:
        """What is wrong with how a case ends; nothing, if it ends as it should."""
        template = self._template(case.runs)
        try:
            return outcome(self.runner, case, template, folder, self.root / "cache", PATIENCE)
        except PermissionError as error:
            pytest.skip(f"only root can prepare it: {error}")

    def _template(self, runs: bool) -> Path:
        """The world, with finished runs where they are wanted; made when it is first asked for."""
        folder = self.root / ("runs" if runs else "bare")
        if not folder.exists():
            world.make(folder)
            if runs:
                world.add_runs(self.runner, folder, self.root / "cache")
        return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    import torch

    threads = torch.get_num_threads()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("default")
        patch.setenv("SCALER_CACHE", str(tmp_path_factory.mktemp("cache")))
        import_everything()
    yield Ground(Here(), tmp_path_factory.mktemp("here"))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Zygote() as zygote:
        yield Ground(zygote, tmp_path_factory.mktemp("apart"))


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.id)
def test_it_ends_in_one_sentence(here: Ground, case: Case, tmp_path: Path) -> None:
    assert here.faults(case, tmp_path / "here") == []


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_it_ends_in_one_sentence_under_limits(apart: Ground, case: Case, tmp_path: Path) -> None:
    assert apart.faults(case, tmp_path / "here") == []


def test_the_quick_cases_are_of_every_kind() -> None:
    assert len(QUICK) >= 300
    assert {case.group for case in QUICK} == {case.group for case in cases()}
