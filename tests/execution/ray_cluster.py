"""Several Ray nodes on this machine. One that is short of time is waited for: Ray itself gives up soon."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

#: Seconds that processes of a cluster get to start, or to answer.
PATIENCE = 300

# Ray reads it when it is imported.
os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", str(PATIENCE))


@contextlib.contextmanager
def nodes(count: int) -> Iterator[Any]:
    """A head without places, and so many nodes of one place each."""
    from ray.cluster_utils import Cluster

    settings = {
        # A node that answers late is not dead; one that is gone refuses to answer, which counts as before.
        "health_check_timeout_ms": PATIENCE * 1000,
        "agent_register_timeout_ms": PATIENCE * 1000,
        "worker_register_timeout_seconds": PATIENCE,
    }
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": settings}
    with _patience():
        cluster = Cluster(initialize_head=True, head_node_args={**head, "runtime_env_agent_port": _port()})
        try:
            for _ in range(count):
                add_node(cluster)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster: Any) -> None:
    """Add a node of one place, and wait until the cluster knows it."""
    node = cluster.add_node(wait=False, num_cpus=1, runtime_env_agent_port=_port())
    cluster._wait_for_node(node, timeout=PATIENCE)


def _port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Mend two waits of Ray's that no setting reaches, 15 seconds of a node and 30 of who starts it.

    A node aborts where its agents have not told their ports by then. Those of the dashboard, which nobody
    looks at here, are told before it starts to be none, as an agent without a dashboard does.
    """
    from ray import _raylet
    from ray._private import node, services

    start, look = node.Node.start_raylet, services.get_node
    ports: Any = _raylet  # whose types do not tell of all that it has

    def start_raylet(self: Any, *arguments: Any, **more: Any) -> None:
        for name in ("DASHBOARD_AGENT_LISTEN", "METRICS_AGENT", "METRICS_EXPORT"):
            ports.persist_port(self._session_dir, self._node_id, getattr(ports, f"{name}_PORT_NAME"), -1)
        start(self, *arguments, **more)

    def get_node(gcs_address: str, node_id: str) -> Any:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return look(gcs_address, node_id)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    with patch.object(node.Node, "start_raylet", start_raylet), patch.object(services, "get_node", get_node):
        yield
