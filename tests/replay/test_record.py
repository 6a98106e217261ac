"""``scaler replay --record``: what is kept is all that was read."""

from pathlib import Path

import pytest

from scaler.cli.main import main
from scaler.replay.table import frame_of, read_table, write_table
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
