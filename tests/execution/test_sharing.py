"""How many trainings share a GPU, by probes whose truth is known, and by a real one on the CPU."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scaler.execution.sharing import Load, Sharing, Trial, sharing
from scaler.networks.registry import base
from scaler.networks.scale import small
from scaler.training.device import Device
from scaler.training.recipe import Recipe


def probe(busy: float, memory: float, tried: list[int]) -> Callable[[int], Load]:
    """A GPU of which one training keeps this part busy, and takes this part of the memory."""

    def load(count: int) -> Load:
        tried.append(count)
        return Load(100 * min(count, 1 / busy), min(1.0, count * memory))

    return load


@pytest.mark.parametrize(
    ("busy", "memory", "most", "expected"),
    [
        (1.0, 0.01, 16, Sharing(1, 1.0)),
        (0.25, 0.01, 16, Sharing(4, 1.0)),
        (0.25, 0.01, 3, Sharing(2, 1.0)),
        (0.01, 0.3, 16, Sharing(2, 1.0)),
        (0.01, 0.5, 16, Sharing(1, 1.0)),
        (0.01, 0.01, 8, Sharing(8, 1.0)),
        (0.30, 0.01, 16, Sharing(4, 1 / 0.30 / 4)),
    ],
    ids=["busy", "a quarter", "few cores", "memory", "memory of one", "idle", "a little gain"],
)
def test_as_many_as_pay_and_as_fit(busy: float, memory: float, most: int, expected: Sharing) -> None:
    tried: list[int] = []
    found = sharing(probe(busy, memory, tried), most)
    assert found.places == expected.places
    assert found.pace == pytest.approx(expected.pace)
    # No trial was begun that could not fit.
    assert all(count <= most and count * memory <= 0.8 for count in tried)


def test_trainings_that_do_not_fit_together_stay_alone() -> None:
    loads = {1: Load(100.0, 0.3), 2: Load(0.0, 1.0)}
    assert sharing(loads.__getitem__, 16) == Sharing(1, 1.0)
    assert sharing(lambda count: Load(0.0, 1.0), 16) == Sharing(1, 1.0)


@pytest.mark.slow
def test_a_trial_counts_the_steps_of_processes_at_once() -> None:
    trial = Trial(small(base("resnet-20"), 8), Recipe(batch_size=8), Device())
    load = trial(2)
    assert load.speed > 0
    assert load.memory == 0.0


@pytest.mark.slow
def test_a_program_that_tries_at_its_top_level_runs_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from scaler.execution.sharing import Trial\n"
        "from scaler.networks.registry import base\n"
        "from scaler.networks.scale import small\n"
        "from scaler.training.device import Device\n"
        "from scaler.training.recipe import Recipe\n"
        "print('begun')\n"
        "print(Trial(small(base('resnet-20'), 8), Recipe(batch_size=8), Device())(2).speed > 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False
    )
    assert found.stdout.split() == ["begun", "True"], found.stderr
