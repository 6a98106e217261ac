import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scaler.errors import MachineError
from scaler.training import checkpoint as files
from scaler.training.checkpoint import Checkpoint
from scaler.training.recipe import Evaluation

SAVED = Checkpoint(
    training="name",
    epochs=2,
    images=10,
    seconds=1.5,
    network={"weight": torch.arange(3.0)},
    averaged={"weight": torch.ones(3)},
    optimiser={"state": {}},
    evaluations=(Evaluation(2, 10, 100, 0.5, 1.0, 1.5),),
)


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "c.pt"
    files.save(SAVED, file)
    loaded = files.load(file)
    assert torch.equal(loaded.network["weight"], SAVED.network["weight"])
    assert loaded.evaluations == SAVED.evaluations
    assert (loaded.training, loaded.epochs, loaded.images, loaded.seconds) == ("name", 2, 10, 1.5)
    assert [entry.name for entry in file.parent.iterdir()] == ["c.pt"]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.pt"
    files.save(SAVED, file)
    before = file.read_bytes()

    def full(fields: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("unexpected pos: no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(MachineError, match="cannot write the checkpoint"):
        files.save(SAVED, file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    for name in (".c.123.tmp.pt", ".d.123.tmp.pt"):
        (tmp_path / name).write_bytes(b"half")
    files.save(SAVED, tmp_path / "c.pt")
    assert {entry.name for entry in tmp_path.iterdir()} == {"c.pt", ".d.123.tmp.pt"}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.pt"
    files.save(SAVED, file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(MachineError, match=r"c\.pt.*train again"):
        files.load(file)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
            return (open, (str(tmp_path / "sprung"), "w"))

    file = tmp_path / "c.pt"
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(MachineError):
        files.load(file)
    assert not (tmp_path / "sprung").exists()
