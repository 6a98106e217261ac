import pytest

from scaler.errors import UserError
from scaler.scaling.budget import format_count, parse_budget, parse_factor


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("2x", 800e6),
        ("1.5x", 600e6),
        (".5X", 200e6),
        ("800M", 800e6),
        ("1.2G", 1.2e9),
        ("1.2B", 1.2e9),
        ("3 t", 3e12),
        ("800000000", 800e6),
    ],
)
def test_budgets_in_flops(text: str, flops: float) -> None:
    assert parse_budget(text).flops(400e6) == pytest.approx(flops)


def test_absolute_budget_as_a_factor() -> None:
    assert parse_budget("800M").ratio(400e6) == pytest.approx(2)
    assert parse_budget("2x").ratio(400e6) == 2


@pytest.mark.parametrize(
    "text", ["", "x", "two", "2y", "-2x", "0x", "1e", "1e400", "2x2", "nan", "800\u212a", "\u0662x"]
)
def test_unreadable_budgets_show_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError, match="such as 2x"):
        parse_budget(text)


def test_budgets_print_as_they_are_written() -> None:
    assert [str(parse_budget(text)) for text in ("2x", "1.5x", "800M", "1.2G")] == [
        "2x",
        "1.5x",
        "800M",
        "1.2G",
    ]
    assert format_count(401659392) == "402M"


def test_sizes_are_factors() -> None:
    assert [parse_factor(text) for text in ("16x", "16", "2.5X", None)] == [16, 16, 2.5, None]
    for text in ("0x", "-2x", "16G", "x", "nan"):
        with pytest.raises(UserError, match="such as 16x"):
            parse_factor(text)
