"""Ray against what an undisturbed search sees: several nodes on this machine, coming and going."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from scaler.errors import UserError
from scaler.execution.executors.engine import Engine, start
from scaler.execution.executors.store import Store
from scaler.execution.protocol import Experiment, TrialSpec
from scaler.files import write_bytes
from scaler.search.strategies.exhaustive import Exhaustive
from tests.execution import ray_cluster, toy_search
from tests.execution.toy import RUNGS, Toy, noted
from tests.execution.toy_search import EXPERIMENT, lead

pytest.importorskip("ray", reason="Ray is not installed: pip install 'compound-scaler[ray]'")

from scaler.execution.executors import on_ray
from tests.execution.toy_on_ray import Elsewhere, Overtaken

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray leaves sockets and processes to the garbage


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster.nodes(2) as cluster:
        yield cluster


def on(cluster: Any, training: Any, checkpoints: str | None = None) -> Any:
    return start(Engine("ray", cluster.address, checkpoints=checkpoints), training, "cpu", None)


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


@pytest.mark.parametrize("store", [None, "file://{}/store"], ids=["through Ray", "a store"])
def test_checkpoints_of_nodes_that_share_no_folder_lie_with_the_leader(
    store: str | None, cluster: Any, tmp_path: Path
) -> None:
    executor = on(cluster, Elsewhere(tmp_path), store and store.format(tmp_path))
    (tmp_path / on_ray.MARK).write_text("of another machine")
    seen = lead(executor, "journal", tmp_path)
    assert set(Counter(entry[1:] for entry in noted(tmp_path)).values()) == {1}
    assert {path.name for path in tmp_path.glob("*.json")} == {
        f"{o.candidate}-{o.seed_index}.json" for o in seen
    }
    # What was under way is over: nothing is left there.
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_lost_nodes_training_goes_on_elsewhere_from_its_last_epoch(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = Experiment(EXPERIMENT.shares[:2], EXPERIMENT.epoch_flops[:2], RUNGS, 1, 0)
    search: dict[str, Any] = {"experiment": few, "strategy": Exhaustive()}
    alone = toy_search.run("journal", tmp_path / "alone", **search)
    folder = tmp_path / "ray"
    folder.mkdir()

    def change(done: float, total: float) -> None:
        """Remove the node of the first training, once both have done an epoch."""
        if {entry[1] for entry in noted(folder)} == {0, 1} and not (folder / "removed").exists():
            lost = (folder / "node-0").read_text()
            (node,) = (node for node in cluster.list_all_nodes() if node.node_id == lost)
            cluster.remove_node(node, allow_graceful=False)
            write_bytes(folder / "removed", lost.encode())
            ray_cluster.add_node(cluster)

    executor = on(cluster, Overtaken(folder))
    assert lead(executor, "journal", folder, on_progress=change, **search) == alone
    opened = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    trials = optuna.load_study(study_name="toy", storage=opened).trials
    states = [(trial.params["candidate"], trial.state.name) for trial in trials]
    assert sorted(states) == [(0, "COMPLETE"), (0, "FAIL"), (1, "COMPLETE")]
    (lost,) = (trial for trial in trials if trial.state.name == "FAIL")
    assert lost.user_attrs["failure"][0] == "evicted"
    for candidate in (0, 1):
        epochs = [entry for entry in noted(folder) if entry[1] == candidate]
        assert [entry[3] for entry in epochs] == [0, 1, 2, 3]
        assert len({entry[0] for entry in epochs}) == 2 - candidate
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("epochs", [1, 3])
def test_what_a_lost_node_left_in_the_store_is_gone_on_from_beside_the_leader(
    epochs: int, tmp_path: Path
) -> None:
    """... and does not take the place of what came after it."""
    folder, store, spec = tmp_path / "run", Store(f"file://{tmp_path}/store"), TrialSpec(1, 0, 2)
    folder.mkdir()
    training = Toy(folder)
    (folder / on_ray.MARK).write_text("here")
    store.write("1-0.json", str(epochs).encode())
    with on_ray._checkpoints(training, spec, folder, "here", None, store) as (found, send):
        found(spec, lambda done: send())
    on_ray._bring_home(training.checkpoint(spec), store)  # as the leader does when a training has ended
    assert [entry[3] for entry in noted(folder)] == list(range(epochs, RUNGS[-1]))
    assert (folder / "1-0.json").read_text() == "4"
    assert store.read("1-0.json") is None


def test_what_a_training_beside_the_leader_runs_into_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / on_ray.MARK).write_text("here")
    with (
        pytest.raises(OSError, match="the disk has gone"),
        on_ray._checkpoints(Toy(tmp_path), TrialSpec(1, 0, 0), tmp_path, "here", None, None),
    ):
        raise OSError("the disk has gone")


def test_a_node_of_another_version_is_refused_by_name(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "versions", lambda: {"scaler": "77.0"})
    with pytest.raises(UserError, match=r"node .* \(.*\) has scaler .*, the leader 77\.0"):
        lead(on(cluster, Toy(tmp_path)), "journal", tmp_path)


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--ray-address localhost:1 is not to be reached"):
        start(Engine("ray", "localhost:1"), Toy(tmp_path), "cpu", None)
