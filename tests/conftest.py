import os

# Before torch is imported: tiny convolutions crawl when OpenMP threads wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from threadpoolctl import threadpool_limits

from scaler.cores import cores

# NumPy may have been imported by a plugin of pytest's before that, with a BLAS thread for every core.
threadpool_limits(1, user_api="blas")

#: Files that begin first: the longest, or the last of them would run alone in the end; and between them, one
#: after the other, those that wait more than they calculate, so that two workers have work for the two cores.
FIRST = (
    "test_many_devices", "test_replay", "test_tour", "test_hostile", "test_on_ray", "test_families",
    "test_search_and_scale", "test_scheduler", "test_trainer", "test_inspect", "test_postgres",
    "test_enumeration", "test_python", "test_planted_truth", "test_origin", "test_law_strategy",
)  # fmt: skip


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: some tests wait, on servers, on clusters and on processes that died."""
    return cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring these files to the front, each as a whole."""
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(FIRST)))
