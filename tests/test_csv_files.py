"""Tables as people and their programs leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler.csv_files import read_csv
from scaler.errors import UserError


def table(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode())
    return path


def test_only_lines_that_start_with_a_hash_are_comments(tmp_path: Path) -> None:
    path = table(tmp_path, "# made by\nnetwork,accuracy\nmy#nets-net,0.5\n#gone,0.1\nb # c,0.25\n")
    frame = read_csv(path, ("network", "accuracy"))
    assert frame.to_dict("list") == {"network": ["my#nets-net", "b # c"], "accuracy": [0.5, 0.25]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("between", ["", "# a comment,2", "  ", "\t"])
def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, end: str, between: str) -> None:
    lines = ["# made by", "network,accuracy", "a,0.5", between, "b#c,7", ""]
    with pytest.raises(UserError, match=r"table\.csv, line 5: accuracy is '7(\.0)?'"):
        read_csv(table(tmp_path, end.join(lines)), ("accuracy",))


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ('"of\ntwo"', 2),
        ('"of\n\nthree, and a ""quote""\n"', 4),
        ('"""\n"""', 2),
        ('"one"', 1),
        ('5" wide', 1),
        ('""', 1),
    ],
)
def test_a_cell_of_several_lines_moves_those_below(tmp_path: Path, cell: str, lines: int) -> None:
    text = f"network,about,accuracy\na,{cell},0.5\n{cell},b,0.5\nc,{cell},7\n"
    with pytest.raises(UserError, match=rf"line {2 + 2 * lines}: accuracy is '7"):
        read_csv(table(tmp_path, text), ("accuracy",))


def test_line_ends_may_be_mixed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 3: accuracy"):
        read_csv(table(tmp_path, "network,accuracy\ra,0.5\nb,7\r\n"), ("accuracy",))


def test_what_is_no_space_for_pandas_is_a_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 4: accuracy"):
        read_csv(table(tmp_path, "network,accuracy\na,0.5\n\u00a0\nb,7\n"), ("accuracy",))


@pytest.mark.parametrize("comment", ["# made by", "#"])
def test_a_comment_that_is_cut_off_is_a_cut_file(tmp_path: Path, comment: str) -> None:
    with pytest.raises(UserError, match="is cut off"):
        read_csv(table(tmp_path, f"network,accuracy\na,0.5\n{comment}"), ("accuracy",))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("seed,seed_index,accuracy", "columns 'seed' and 'seed_index', which are one"),
        ("seed_index,accuracy,seed", "columns 'seed' and 'seed_index', which are one"),
        ("seed,seed,accuracy", "column 'seed' twice"),
        ("accuracy,a,accuracy", "column 'accuracy' twice"),
        ("a,accuracy", "more values than its header has columns"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_csv(table(tmp_path, f"{header}\n1,1,0\n"), ("accuracy",), {"seed": "seed_index"})


def test_older_names_are_read_as_the_new_ones(tmp_path: Path) -> None:
    frame = read_csv(table(tmp_path, "seed,accuracy\n3,1\n"), ("seed_index",), {"seed": "seed_index"})
    assert frame.to_dict("list") == {"seed_index": [3.0], "accuracy": [1.0]}
