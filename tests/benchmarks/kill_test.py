"""Searches disturbed at random moments, against the one that nobody disturbed.

    python -m tests.benchmarks.kill_test workers 200 kills.csv     # kill -9 of workers and of the leader
    python -m tests.benchmarks.kill_test nodes 100 nodes.csv       # Ray nodes removed, and others added
    python -m tests.benchmarks.kill_test postgres 50 cuts.csv      # connections cut, the server restarted

A file that is there is gone on with, until it tells of so many disturbances. A row per search: the
disturbances it saw, how often its leader was killed and how often it gave up, its trials by state, epochs
trained twice, and whether its answer is that of the undisturbed one, with every training once and nothing
left running. Trainings are those of the tests' toy search, which sleep: what is tried is execution.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from scaler.execution.executors.engine import Engine, start
from scaler.execution.protocol import Observation
from tests.benchmarks.processes import descendants
from tests.execution import postgres, ray_cluster, toy_search
from tests.execution.toy import Toy, noted
from tests.execution.toy_search import lead

EPOCH_SECONDS = 0.3
#: The processes of a removed node live on for a second or two: trainings must last longer to be lost.
EPOCH_SECONDS_ON_RAY = 2.0


@dataclass(frozen=True)
class Disturbance:
    """What a search went through.

    Attributes:
        storage: of its study.
        hits: disturbances, the leader's deaths among them.
        leader_kills: those.
        gave_up: how often the leader ended with an error of its own, and was started again.
    """

    storage: str
    hits: int
    leader_kills: int = 0
    gave_up: int = 0


@dataclass(frozen=True)
class Row:
    """A search."""

    search: int
    kind: str
    disturbances: int
    leader_kills: int
    gave_up: int
    complete: int
    failed: int
    running: int
    twice: int
    equal: bool


def main(kind: str, count: int, file: Path) -> None:
    """Disturb searches until there were so many disturbances; each goes to the table when it is over."""
    table = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=[f.name for f in fields(Row)])
    with tempfile.TemporaryDirectory() as name, disturber(kind, Path(name)) as disturbed:
        expected = toy_search.run("journal", Path(name) / "undisturbed")
        while table.disturbances.sum() < count:
            number = len(table)
            folder = Path(name) / f"search-{number}"
            folder.mkdir()
            row = judged(number, kind, folder, expected, disturbed(folder, random.Random(number)))
            print(row, flush=True)
            table.loc[number] = list(asdict(row).values())
            table.to_csv(file, index=False)
    good = table.equal.all() and not table.running.any()
    verdict = "all as undisturbed" if good else "NOT all as undisturbed"
    print(f"{table.disturbances.sum()} disturbances, {len(table)} searches: {verdict}")
    sys.exit(not good)


def judged(number: int, kind: str, folder: Path, expected: list[Observation], saw: Disturbance) -> Row:
    """What became of a search: its study as anyone reads it, and its answer as the next run gives it."""
    epochs = Counter(entry[1:] for entry in noted(folder))
    address = toy_search.address(saw.storage, folder)
    opened: Any = address if "://" in address else JournalStorage(JournalFileBackend(address))
    trials = optuna.load_study(study_name="toy", storage=opened).trials
    states = Counter(trial.state.name for trial in trials)
    complete = Counter(tuple(trial.user_attrs["spec"]) for trial in trials if trial.state.name == "COMPLETE")
    answer = toy_search.run(saw.storage, folder)
    once = set(complete.values()) == {1} and len(noted(folder)) == sum(epochs.values())
    return Row(
        number,
        kind,
        saw.hits,
        saw.leader_kills,
        saw.gave_up,
        states["COMPLETE"],
        states["FAIL"],
        states["RUNNING"] + states["WAITING"],
        sum(epochs.values()) - len(epochs),
        answer == expected and once,
    )


#: Runs a search in a folder to its end, disturbing it.
Disturbed = Callable[[Path, random.Random], Disturbance]


@contextlib.contextmanager
def disturber(kind: str, folder: Path) -> Iterator[Disturbed]:
    """What disturbs a search."""
    if kind == "workers":
        yield kill_processes
    elif kind == "nodes":
        with ray_cluster.nodes(2) as cluster:
            yield lambda folder, draw: change_nodes(cluster, folder, draw)
    else:
        programs = postgres.programs()
        assert programs is not None, "PostgreSQL is not installed"
        with postgres.server(programs) as server:
            yield lambda folder, draw: cut_connections(server, folder, draw)


# --- kill -9 ---------------------------------------------------------------------------------------------


def kill_processes(folder: Path, draw: random.Random) -> Disturbance:
    """Start a search as often as it takes; every 0.1 to 0.8 seconds one of its processes that work dies."""
    workers = leaders = gave_up = 0
    while True:
        known = len(noted(folder))
        leader = started(folder)
        while leader.poll() is None and len(noted(folder)) == known:
            time.sleep(0.02)
        killed = False
        while leader.poll() is None:
            time.sleep(draw.uniform(0.1, 0.8))
            at_work = sorted({entry[0] for entry in noted(folder)} & set(descendants(leader.pid)))
            if draw.random() < 0.1:
                leader.kill()
                leader.wait()
                killed = leader.returncode == -signal.SIGKILL
                leaders += killed
            elif at_work:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(draw.choice(at_work), signal.SIGKILL)
                    workers += 1
        if leader.wait() == 0:
            return Disturbance("journal", workers + leaders, leaders, gave_up)
        gave_up += not killed


def started(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, toy_search.__file__, "journal", str(folder), "2", str(EPOCH_SECONDS)]
    environment = {**os.environ, "PYTHONPATH": str(Path(toy_search.__file__).parents[2])}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


# --- nodes, connections ----------------------------------------------------------------------------------


def change_nodes(cluster: Any, folder: Path, draw: random.Random) -> Disturbance:
    """Now and then a node goes, with what it trains, and another comes."""
    hits = []

    def change(done: float, total: float) -> None:
        if done and draw.random() < 0.3:
            cluster.remove_node(draw.choice([n for n in cluster.list_all_nodes() if not n.head]), False)
            ray_cluster.add_node(cluster)
            hits.append(done)

    executor = start(Engine("ray", cluster.address), Toy(folder, EPOCH_SECONDS_ON_RAY), "cpu", None)
    lead(executor, "journal", folder, on_progress=change)
    return Disturbance("journal", len(hits))


def cut_connections(server: postgres.Server, folder: Path, draw: random.Random) -> Disturbance:
    """Now and then all connections are cut; one time in ten the server is stopped and started."""
    from tests.execution.test_postgres import cut, emptied

    url, hits = emptied(server), []

    def trouble(done: float, total: float) -> None:
        if draw.random() < 0.3:
            hits.append(done)
            if draw.random() < 0.1:
                server.stop()
                server.start()
            else:
                cut(url)

    toy_search.run(url, folder, workers=2, epoch_seconds=EPOCH_SECONDS / 10, on_progress=trouble)
    return Disturbance(url, len(hits))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
