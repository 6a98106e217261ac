"""No strategy reads the test part: it is poisoned here, and a search does not notice."""

from dataclasses import replace
from pathlib import Path

import pytest

from scaler.data.dataset import DataSet, Part, PartName
from scaler.data.request import DataRequest
from scaler.execution import proxy_training
from scaler.execution.executors.in_process import InProcess
from scaler.execution.protocol import TrialSpec
from scaler.execution.scheduler import search
from scaler.execution.study import Study
from scaler.search.session import prepare
from scaler.search.space import Space
from scaler.search.strategies.registry import STRATEGIES, strategy
from scaler.search.workload import Settings, Workload

SPACE = Space.model_validate(
    {
        "about": "a test",
        "base": str(Path(__file__).with_name("resnet_8.yaml")),
        "grid": {"lattice": 1},
        "data": "digits",
        "proxy": {"resolution": 8, "width": 0.3, "divisor": 1, "upsample": True},
        "recipe": {"epochs": 2, "images": 64, "batch_size": 32, "validation_images": 50},
        "rungs": [1, 2],
        "seeds": 2,
    }
)


def poisoned(data: DataSet) -> DataSet:
    def render(name: PartName, resolution: int) -> Part:
        assert name != "test", "the test part was read"
        return data.part(name, resolution)

    return replace(data, render=render)


@pytest.fixture(scope="module")
def work() -> Workload:
    """Candidates, data and trainings, whatever the strategy."""
    return prepare(SPACE, Settings(workers=1)).work


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(request: DataRequest, fingerprint: str) -> DataSet:
        return poisoned(request.load())

    monkeypatch.setattr(proxy_training, "_load", load)


#: Those that train much take long: all of them in `make test-all`.
BRIEF = ("law", "knowledge-gradient", "random")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in BRIEF else pytest.mark.slow) for name in STRATEGIES]
)
@pytest.mark.usefixtures("clean")
def test_no_strategy_reads_the_test_part(name: str, work: Workload, tmp_path: Path) -> None:
    with Study.open(str(tmp_path / "study.log"), "poisoned") as study:
        assert search(work.experiment, strategy(name), InProcess(work.training(tmp_path)), study)


@pytest.mark.usefixtures("clean")
def test_the_poison_works(work: Workload, tmp_path: Path) -> None:
    training = work.training(tmp_path, on_test=True)
    with pytest.raises(AssertionError, match="the test part was read"):
        training(TrialSpec(0, 0, 1))
