"""Several Ray nodes on this machine. One that is short of time is waited for: Ray itself gives up soon."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Seconds that processes of a cluster get to start, or to answer.
PATIENCE = 300

# Ray reads it when it is imported.
os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", str(PATIENCE))


@contextlib.contextmanager
def nodes(count: int) -> Iterator[Any]:
    """A head without places, and so many nodes of one place each."""
    from ray._private import services
    from ray.cluster_utils import Cluster

    impatient = services.get_node
    services.get_node = _patient(impatient)
    settings = {
        # A node that answers late is not dead; one that is gone refuses to answer, which counts as before.
        "health_check_timeout_ms": PATIENCE * 1000,
        "agent_register_timeout_ms": PATIENCE * 1000,
        "worker_register_timeout_seconds": PATIENCE,
    }
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": settings}
    try:
        cluster = Cluster(initialize_head=True, head_node_args={**head, **_ports()})
        try:
            for _ in range(count):
                add_node(cluster)
            yield cluster
        finally:
            cluster.shutdown()
    finally:
        services.get_node = impatient


def add_node(cluster: Any) -> None:
    """Add a node of one place, and wait until the cluster knows it."""
    cluster._wait_for_node(cluster.add_node(wait=False, num_cpus=1, **_ports()), timeout=PATIENCE)


def _ports() -> dict[str, int]:
    """Ports for a node's agents. Those that choose their own must tell it within 15 seconds, or it dies."""
    agents = ("metrics_agent", "metrics_export", "dashboard_agent_listen", "runtime_env_agent")
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in agents]
        for one in sockets:
            one.bind(("", 0))
        return {f"{name}_port": one.getsockname()[1] for name, one in zip(agents, sockets, strict=True)}


def _patient(get_node: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """What asks for a node that starts, and raises only after a time that a starved machine needs."""

    def wait(gcs_address: str, node_id: str) -> Any:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return get_node(gcs_address, node_id)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    return wait
