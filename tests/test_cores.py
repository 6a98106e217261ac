import os
from pathlib import Path

import pytest

from scaler import cores as machine
from scaler.cores import cores


@pytest.mark.parametrize(
    ("text", "expected"), [("max 100000", None), ("150000 100000", 2), ("50000 100000", 1)]
)
def test_quota_of_a_container(tmp_path: Path, text: str, expected: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert machine._quota(file) == (expected or machine._quota(tmp_path / "missing"))


def test_cores_follow_the_affinity_mask() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
