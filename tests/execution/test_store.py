"""A folder at a URL: on disk, and in memory as an object store is."""

from pathlib import Path

import pytest

from scaler.errors import UserError
from scaler.execution.executors.engine import Engine
from scaler.execution.executors.store import Store


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_files_come_back_until_they_are_removed(kind: str, tmp_path: Path) -> None:
    store = Store(f"{kind}://{tmp_path}/a/b")
    assert store.read("0-0.pt") is None
    store.write("0-0.pt", b"one")
    store.write("0-0.pt", b"two")
    assert store.read("0-0.pt") == b"two"
    store.remove("0-0.pt")
    store.remove("0-0.pt")
    assert store.read("0-0.pt") is None
    if kind == "file":
        assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_store_that_cannot_be_used_is_named_without_its_password() -> None:
    with pytest.raises(UserError, match=r"--checkpoints nowhere://me:\*\*\*@host/x cannot be used") as raised:
        Store("nowhere://me:secret@host/x").read("0-0.pt")
    assert "secret" not in str(raised.value)


def test_a_store_for_one_machine_is_refused() -> None:
    with pytest.raises(UserError, match="--checkpoints is for nodes that share no folder"):
        Engine(checkpoints="s3://bucket/folder")
