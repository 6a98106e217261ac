"""``scaler replay --record``: what is kept is all that was read; and recordings that go on."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from scaler.cli.main import main
from scaler.replay.table import frame_of, read_table, write_table
from scaler.search.inference.decision import octaves_of
from tests.benchmarks.record_table import claimed
from tests.replay.synthetic import assert_same, frame_of_candidates, make_table

TABLES = Path(__file__).parents[2] / "results" / "reference" / "tables"


@pytest.mark.parametrize("table", sorted(TABLES.glob("*.csv")), ids=lambda table: table.stem)
def test_the_command_keeps_all_that_a_table_holds(table: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    with pytest.raises(SystemExit) as end:
        main(["replay", str(table), "--record", str(kept)])
    assert end.value.code == 0
    assert_same(read_table(kept), read_table(table))
    assert frame_of(kept).equals(frame_of(table))
    rows = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    assert len(frame_of(kept)) == len(rows) - 1


def test_numbers_of_many_digits_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    write_table(frame_of_candidates(make_table()[0]), path, "made up")
    text = path.read_text().replace(",0.25,", ",0.2500000123456789,")
    path.write_text(text)
    write_table(frame_of(path), tmp_path / "kept.csv", "made up")
    assert ",0.2500000123456789," in (tmp_path / "kept.csv").read_text()
    assert_same(read_table(tmp_path / "kept.csv"), read_table(path))


@pytest.mark.parametrize(("ratios", "budget"), [(("3.97", "4.05"), 4.0), (("0.507", "0.493"), 0.5)])
def test_a_run_is_replayed_and_kept_at_its_own_budget(
    ratios: tuple[str, str], budget: float, tmp_path: Path
) -> None:
    trials = [f"{c},{s},1,10,100,0.{3 + c + s},2.0" for c in (0, 1) for s in (0, 1)]
    head = "candidate,seed_index,epochs,images,train_flops,accuracy,loss"
    (tmp_path / "trials.csv").write_text("\n".join([head, *trials, ""]))
    (tmp_path / "candidates.csv").write_text(
        "candidate,share_depth,share_width,share_resolution,flops_ratio\n"
        f"0,1,0,0,{ratios[0]}\n1,0,1,0,{ratios[1]}\n,0,0,1,9.5\n"
    )
    table = read_table(tmp_path)
    assert table.experiment.budget == budget
    doublings = octaves_of(table.experiment)
    assert doublings.tolist() == [[math.log2(budget), 0, 0], [0, math.log2(budget), 0]]
    write_table(frame_of(tmp_path), tmp_path / "kept.csv", "made up")
    assert_same(read_table(tmp_path / "kept.csv"), table)


def test_a_training_is_recorded_once_and_by_another_where_its_process_was_killed(tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    killed = (
        "import os, sys, pathlib\nfrom tests.benchmarks.record_table import claimed\n"
        "with claimed(pathlib.Path(sys.argv[1]), 3, 1) as mine:\n"
        "    print(mine, flush=True)\n    os._exit(9)\n"
    )
    root = Path(__file__).parents[2]
    first = subprocess.run(
        [sys.executable, "-c", killed, output], cwd=root, capture_output=True, text=True, check=False
    )
    assert (first.stdout, first.returncode) == ("True\n", 9)
    with claimed(output, 3, 1) as mine, claimed(output, 3, 1) as also, claimed(output, 3, 0) as other:
        assert (mine, also, other) == (True, False, True)
    (tmp_path / "table.jsonl").write_text('{"network": 3, "seed_index": 1, "evaluations": []}\n')
    with claimed(output, 3, 1) as mine, claimed(output, 3, 0) as other:
        assert (mine, other) == (False, True)
