"""Ray against what an undisturbed search sees: several nodes on this machine, coming and going."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from scaler.errors import UserError
from scaler.execution.executors.engine import Engine, start
from scaler.execution.executors.executor import OnEpoch
from scaler.execution.protocol import TrialSpec
from scaler.training.recipe import Evaluation
from tests.execution import toy_search
from tests.execution.toy_search import Toy, lead, noted

pytest.importorskip("ray", reason="Ray is not installed: pip install 'compound-scaler[ray]'")

from ray.cluster_utils import Cluster

from scaler.execution.executors import on_ray

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray leaves sockets and processes to the garbage


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without places, and two nodes of one place each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def on(cluster: Any, training: Any, workers: int | None = None) -> Any:
    return start(Engine("ray", cluster.address), training, "cpu", workers)


def test_nodes_do_what_one_process_does(cluster: Any, tmp_path: Path) -> None:
    alone = toy_search.run("journal", tmp_path / "alone")
    events: list[float] = []
    (tmp_path / "ray").mkdir()
    executor = on(cluster, Toy(tmp_path / "ray", 0.05))
    assert executor.slots == 2
    seen = lead(executor, "journal", tmp_path / "ray", on_progress=lambda done, total: events.append(done))
    assert seen == alone
    assert set(Counter(entry[1:] for entry in noted(tmp_path / "ray")).values()) == {1}
    assert len({entry[0] for entry in noted(tmp_path / "ray")}) >= 2
    assert events == sorted(events)


@dataclass(frozen=True)
class Elsewhere(Toy):
    """Its node does not see the folder of the leader's checkpoints."""

    def checkpointed(self, folder: Path) -> "Elsewhere":
        return replace(self, checkpoints=folder)

    def __call__(self, spec: TrialSpec, on_epoch: OnEpoch) -> list[Evaluation]:
        assert self.checkpoints is not None
        assert self.checkpoints.name.startswith("scaler-")
        return super().__call__(spec, on_epoch)


def test_checkpoints_of_nodes_that_share_no_folder_lie_with_the_leader(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = on(cluster, Elsewhere(tmp_path))
    (tmp_path / on_ray.MARK).write_text("of another machine")
    seen = lead(executor, "journal", tmp_path)
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}
    assert {path.name for path in tmp_path.glob("*.json")} == {
        f"{o.candidate}-{o.seed_index}.json" for o in seen
    }


def test_a_node_that_is_lost_and_one_that_comes(cluster: Any, tmp_path: Path) -> None:
    alone = toy_search.run("journal", tmp_path / "alone")
    nodes = [node for node in cluster.list_all_nodes() if not node.head]
    changed: list[float] = []

    def change(done: float, total: float) -> None:
        if done and not changed:
            changed.append(done)
            cluster.remove_node(nodes[0], allow_graceful=False)
            cluster.add_node(num_cpus=1)

    (tmp_path / "ray").mkdir()
    seen = lead(on(cluster, Toy(tmp_path / "ray", 0.2)), "journal", tmp_path / "ray", on_progress=change)
    assert changed
    assert seen == alone


def test_a_node_of_another_version_is_refused_by_name(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "versions", lambda: {"scaler": "77.0"})
    with pytest.raises(UserError, match=r"node .* \(.*\) has scaler .*, the leader 77\.0"):
        lead(on(cluster, Toy(tmp_path)), "journal", tmp_path)


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--ray-address localhost:1 is not to be reached"):
        start(Engine("ray", "localhost:1"), Toy(tmp_path), "cpu", None)
