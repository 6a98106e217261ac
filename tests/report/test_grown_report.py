"""The benchmark's report of a search with further candidates: drawn from a run that is there."""

from pathlib import Path

import pandas as pd
import pytest

from tests.benchmarks.speed import growth


def test_a_report_is_drawn_of_as_many_trainings_as_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])  # benchmarks are started there
    growth._report(tmp_path, 12)
    run = tmp_path / "report-12"
    trials = pd.read_csv(run / "trials.csv")
    assert len(trials) == 12
    assert pd.read_csv(run / "candidates.csv")["network"].tolist() == ["n0", "n1", "n2"]
    page = (run / "report.html").read_text()
    assert "n2" in page
    assert "<svg" in page
