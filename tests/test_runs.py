"""The run directory: whole files, one driver, and the same run for the same question."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from scaler import runs
from scaler.errors import MachineError, PassedOverWarning, UserError
from scaler.files import replacing, write_bytes
from scaler.runs import Run, all_runs, default_name, find_unfinished, load_run, newest_finished, open_run

CONFIGURATION = {
    "space": {"base": "a", "budget": "2x", "rungs": (1, 2)},
    "seed": 0,
    "data_fingerprint": "ab12",
}


def made(
    results: Path,
    name: str,
    configuration: Mapping[str, Any] = CONFIGURATION,
    kind: str = "search",
    finish: bool = False,
) -> Run:
    with open_run(results, name, kind, configuration) as run:
        if finish:
            run.finish()
    return run


def test_run_yaml_is_enough_to_run_it_again(tmp_path: Path) -> None:
    made(tmp_path / "results", "first", finish=True)
    record = yaml.safe_load((tmp_path / "results" / "first" / "run.yaml").read_text())
    assert record["configuration"] == json.loads(json.dumps(CONFIGURATION))
    assert record["kind"] == "search"
    assert {"scaler", "python", "torch", "optuna", "fvcore"} <= record["versions"].keys()
    assert record["hardware"]["cores"] == len(os.sched_getaffinity(0))
    assert record["finished"] > record["created"]
    assert record["source"]


def test_the_source_revision_is_git_s(tmp_path: Path) -> None:
    folder = os.path.dirname(runs.__file__)
    head = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        pytest.skip("not a git checkout")
    assert runs.source_revision().rstrip("+") == head.stdout.strip()


def test_the_same_configuration_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "first")
    before = (tmp_path / "first" / "run.yaml").read_text()
    assert made(tmp_path, "first").name == "first"
    assert (tmp_path / "first" / "run.yaml").read_text() == before
    other = {"space": {"base": "a", "budget": "4x", "rungs": [1, 2]}, "seed": 1, "data_fingerprint": "ab12"}
    with pytest.raises(UserError) as caught:
        made(tmp_path, "first", other)
    assert 'seed was 0, now 1; space.budget was "2x", now "4x"' in str(caught.value)
    assert "rungs" not in str(caught.value)
    with pytest.raises(UserError, match="holds a search, not a scale"):
        made(tmp_path, "first", kind="scale")
    assert (tmp_path / "first" / "run.yaml").read_text() == before


def test_which_run_a_command_goes_on_with(tmp_path: Path) -> None:
    assert find_unfinished(tmp_path / "none", CONFIGURATION) is None
    assert newest_finished(tmp_path / "none") is None
    other = {**CONFIGURATION, "seed": 1}
    made(tmp_path, "b-old")
    made(tmp_path, "a-new")
    made(tmp_path, "c-other", other)
    made(tmp_path, "d-done", finish=True)
    made(tmp_path, "e-scale", kind="scale", finish=True)
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "run.yaml").write_text("[")
    with pytest.warns(PassedOverWarning, match="passed over"):
        found = all_runs(tmp_path, "search")
    assert [run.name for run in found] == ["b-old", "a-new", "c-other", "d-done"]
    shutil.rmtree(tmp_path / "junk")
    assert _name(find_unfinished(tmp_path, CONFIGURATION)) == "a-new"
    assert _name(newest_finished(tmp_path)) == "d-done"
    made(tmp_path, "b-old", finish=True)
    assert _name(newest_finished(tmp_path)) == "b-old"
    made(tmp_path, "a-new", finish=True)
    assert find_unfinished(tmp_path, CONFIGURATION) is None
    assert _name(find_unfinished(tmp_path, other)) == "c-other"


def _name(run: Run | None) -> str | None:
    return run.name if run else None


def test_names(tmp_path: Path) -> None:
    name = default_name(tmp_path, "nets/my net.yaml", "1.5x")
    assert name.startswith("my-net-1.5x-")
    made(tmp_path, name)
    again = default_name(tmp_path, "nets/my net.yaml", "1.5x")
    assert again != name
    assert not (tmp_path / again).exists()
    for bad in ("", "../up", "a/b", ".hidden", "a b"):
        with pytest.raises(UserError, match="is no name for a folder"):
            made(tmp_path, bad)


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run: it has no run.yaml"):
        load_run(tmp_path)
    (tmp_path / "run.yaml").write_text("a: 1\n")
    with pytest.raises(UserError, match="key 'kind': field required"):
        load_run(tmp_path)
    (tmp_path / "run.yaml").write_text("a: [1\n")
    with pytest.raises(UserError, match="line 2"):
        load_run(tmp_path)


DRIVER = """
import sys, time
from pathlib import Path
from scaler.runs import open_run
with open_run(Path(sys.argv[1]), "first", "search", {}):
    print("driving", flush=True)
    time.sleep(600)
"""


def test_one_process_drives_a_run_and_its_death_frees_it(tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"driving\n"
    with pytest.raises(UserError, match=f"is being run by process {driver.pid} on "):
        made(tmp_path, "first", {})
    assert load_run(tmp_path / "first").name == "first"
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    assert made(tmp_path, "first", {}).name == "first"
    assert not (tmp_path / "first" / ".driver").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written .*: choose another --results"):
        made(tmp_path / "file", "first")


def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, "first")
    run.write_text("note.txt", "old")
    before = sorted(os.listdir(run.path))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match=r"the disk is full: .*note.txt was not written"):
            run.write_text("note.txt", "new")
    assert (run.path / "note.txt").read_text() == "old"
    assert sorted(os.listdir(run.path)) == before


def test_a_writer_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    write_bytes(path, b"old")
    with contextlib.suppress(ZeroDivisionError), replacing(path) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["curve.png"]


WRITER = """
import sys
from pathlib import Path
from scaler.files import write_bytes
for n in range(10**6):
    write_bytes(Path(sys.argv[1]), (b"%d " % n) * 50_000)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "big"
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        while not path.exists() or path.read_bytes().startswith(b"0 "):
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        words = path.read_bytes().split()
        assert len(words) == 50_000
        assert len(set(words)) == 1


def test_tables_are_written_in_the_formats_asked_for(tmp_path: Path) -> None:
    run = made(tmp_path, "first")
    table = pd.DataFrame(
        {
            "network": ["a,b", "c"],
            "flops": [401659392, 10**14],
            "alpha": [1 / 3, float("nan")],
            "accuracy": [0.5, None],
            "feasible": [True, False],
        }
    )
    path = run.write_csv("tables/t.csv", table, {"accuracy": ".4f"})
    assert path.read_text() == (
        "network,flops,alpha,accuracy,feasible\n"
        '"a,b",401659392,0.3333333333,0.5000,True\n'
        "c,100000000000000,,,False\n"
    )


def test_json_holds_nothing_that_others_cannot_read(tmp_path: Path) -> None:
    run = made(tmp_path, "first")
    assert json.loads(run.write_json("c.json", {"alpha": 1.2}).read_text()) == {"alpha": 1.2}
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_json("c.json", {"alpha": float("nan")})
    assert json.loads((run.path / "c.json").read_text()) == {"alpha": 1.2}
