"""The tables that are written to CSV and read back."""

import csv
import io
from collections.abc import Sequence

import pandas as pd
import pytest
from rich.console import Console

from scaler.cost.network_cost import cost
from scaler.files import csv_text
from scaler.networks.families import efficientnet
from scaler.networks.scale import effective, scale
from scaler.networks.spec import NetworkSpec
from scaler.report.columns import (
    CANDIDATE_COLUMNS,
    CSV_FORMATS,
    CURVE_COLUMNS,
    Column,
    candidate_frame,
    curve_frame,
)
from scaler.report.tables import growth_lines, records, rich_table
from scaler.scaling.multipliers import Coefficients
from scaler.scaling.rounding import OFFICIAL, Rounding
from scaler.scaling.shares import Shares
from scaler.search.candidates.candidate import Candidate, LeftOut, Point, Realised

DESIGN_CURVE = """network base policy phi alpha beta gamma depth width resolution flops macs params
activations accuracy accuracy_stderr seeds on_front"""
DESIGN_CANDIDATES = """candidate aliases share_depth share_width share_resolution alpha beta gamma depth width
resolution flops macs params activations flops_ratio proxy_flops proxy_flops_ratio feasible reason"""


def network(policy: str, phi: float, flops: int, accuracy: float | None, **more: object) -> dict[str, object]:
    return {
        "network": f"n-{policy}-{phi}",
        "base": "effnet-b0",
        "policy": policy,
        "phi": phi,
        "resolution": 24,
        "flops": flops,
        "params": 400_000,
        "activations": 200_000,
        "depth": 1.0,
        "width": 1.0,
        "accuracy": accuracy,
        "accuracy_stderr": 0.01,
        "seeds": 3,
        **more,
    }


CURVE = [
    network("compound", 0, 3_830_000, 0.60),
    network("compound", 1, 7_660_000, 0.66),
    network("depth", 1, 7_700_000, 0.63),
    network("compound", 2, 15_300_000, None, accuracy_stderr=None, seeds=0),
]


def written(frame: pd.DataFrame) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(frame, CSV_FORMATS))))


def test_a_curve_has_the_columns_of_the_design_then_further_costs() -> None:
    frame = curve_frame([{**row, "latency_ms": 1.5} for row in CURVE])
    assert list(frame.columns) == [*DESIGN_CURVE.split(), "latency_ms"]


def test_counts_keep_all_digits_and_what_is_missing_is_empty() -> None:
    rows = written(curve_frame(CURVE))
    assert [row["flops"] for row in rows] == ["3830000", "7660000", "7700000", "15300000"]
    assert rows[1]["accuracy"] == "0.66"
    assert rows[3]["accuracy"] == rows[3]["accuracy_stderr"] == rows[3]["alpha"] == ""
    assert [row["on_front"] for row in rows] == ["True", "True", "False", "False"]


def test_a_row_can_be_json() -> None:
    row = records(curve_frame(CURVE))[3]
    assert row["accuracy"] is None
    assert row["flops"] == 15_300_000


def shown(frame: pd.DataFrame, columns: Sequence[Column], width: int = 110) -> list[str]:
    file = io.StringIO()
    console = Console(width=width, file=file, highlight=False)
    console.print(rich_table(frame, columns))
    return file.getvalue().splitlines()


def test_the_terminal_shows_percent_and_drops_what_does_not_vary() -> None:
    lines = shown(curve_frame(CURVE), CURVE_COLUMNS)
    assert "66.0 ± 1.0" in lines[2]
    assert lines[2].rstrip().endswith("*")
    assert "base" not in lines[0]
    assert "phi" in lines[0]
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_names_are_printed_as_they_are() -> None:
    frame = curve_frame([network("[red]mine", 1, 1000, 0.5)])
    assert "[red]mine" in shown(frame, CURVE_COLUMNS)[1]


def test_growth_is_counted_from_the_base_for_every_policy() -> None:
    compound, depth = growth_lines(curve_frame(CURVE))
    assert compound.startswith("compound: +6.0 ± 1.4 points per doubling from 3.83M to 7.66M FLOPs")
    assert depth.startswith("depth: +3.0 ± 1.4 points per doubling from 3.83M to 7.70M")


def realised(base: NetworkSpec, coefficients: Coefficients, rounding: Rounding) -> Realised:
    spec = scale(base, coefficients.multipliers, rounding)
    counted = cost(spec)
    return Realised(
        spec, coefficients.multipliers, effective(spec, base), counted, counted.flops / cost(base).flops
    )


@pytest.fixture
def candidates() -> tuple[Candidate, LeftOut]:
    base = next(spec for spec in efficientnet.bases() if spec.name == "effnet-b0")
    point = Point("1-1-2", Shares(0.25, 0.25, 0.5), Coefficients(1.19, 1.09, 1.19))
    native = realised(base, point.target, OFFICIAL)
    proxy = realised(base, point.target, Rounding())
    return Candidate(0, point, ("a", "b"), native, proxy), LeftOut(point, "1.70x, not 2x", 1.7)


def test_candidates_have_the_columns_of_the_design(candidates: tuple[Candidate, LeftOut]) -> None:
    kept, out = candidates
    frame = candidate_frame([kept], [out])
    assert set(DESIGN_CANDIDATES.split()) <= set(frame.columns)
    first, second = written(frame)
    assert first["flops"] == str(kept.native.cost.flops)
    assert first["aliases"] == "a; b"
    assert first["feasible"] == "True"
    assert float(first["depth"]) == pytest.approx(kept.native.spec.depth / 16, rel=1e-5)
    ratio = kept.native.spec.depth / kept.proxy.spec.depth
    assert float(first["multiplier_gap"]) >= 0.8 * abs(ratio - 1)
    assert (second["candidate"], second["flops"], second["feasible"]) == ("", "", "False")
    assert second["reason"] == "1.70x, not 2x"
    assert len(shown(frame, CANDIDATE_COLUMNS, width=160)) == 3
