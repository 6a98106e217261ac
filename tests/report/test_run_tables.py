"""Tables of runs that hold more columns than Scaler writes, or fewer: a page, or one sentence."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from scaler.api import results
from scaler.errors import UserError
from scaler.report.page.page import page
from scaler.report.pictures.of_run import pictures
from scaler.report.run_tables import read_curve, read_trials
from scaler.report.trial_means import observations
from scaler.runs import load_run
from tests.cli.test_pareto import THREE, scaled, searched


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    searched(folder, "search")
    scaled(folder, "grown", THREE)
    return folder


@pytest.fixture
def edited(made: Path, tmp_path: Path) -> Callable[..., Path]:
    """``edited("search/trials.csv", change)``: a copy of the runs, with a table changed."""

    def edit(table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        shutil.copytree(made, tmp_path / "runs")
        path = tmp_path / "runs" / table
        change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)
        return path.parent

    return edit


def test_a_trial_is_read_without_what_no_answer_is_made_of(edited: Callable[..., Path]) -> None:
    changed = edited(
        "search/trials.csv",
        lambda table: table.assign(host="a", note="b").drop(
            columns=["images", "train_flops", "loss", "seconds"]
        ),
    )
    run = load_run(changed)
    seen = observations(read_trials(run))
    assert [(o.candidate, o.seed_index, o.rung, o.accuracy) for o in seen[1:3]] == [
        (1, 0, 0, 0.5),
        (1, 0, 1, 0.7),
    ]
    assert math.isnan(seen[0].loss)
    assert math.isnan(seen[0].seconds)
    assert seen[5].state == "diverged"
    assert "Chosen: 1-1-2" in page([run], [[]])


def test_a_scaling_beside_its_search_has_its_own_trainings() -> None:
    """The differences of the committed curve follow from the trainings that are committed beside it."""
    folder = Path(__file__).parents[2] / "results" / "reference" / "quick"
    found = {(one.policy, one.phi): one for one in results.read(folder).differences()}  # type: ignore[union-attr]
    curve = pd.read_csv(folder / "curve.csv")
    told = curve[curve["difference"].notna()]
    assert len(told) > 5
    for _, row in told.iterrows():
        one = found[row["policy"], row["phi"]]
        assert [-one.gain, -one.high, -one.low] == pytest.approx(
            row[["difference", "difference_low", "difference_high"]].astype(float).tolist(), abs=2e-6
        )
    # Of one seed each, nobody would know how sure; the search has one.
    assert all("one seed" not in line for line in results.read(folder).lines)


def test_a_curve_without_trainings_has_no_law(edited: Callable[..., Path]) -> None:
    folder = edited("grown/curve.csv", lambda table: table.drop(columns=["training"], errors="ignore"))
    (folder / "trials.csv").write_text(
        "candidate,seed_index,rung,epochs,accuracy,state\n0,0,0,1,0.5,complete\n"
    )
    assert results.read(folder).laws() == {}  # type: ignore[union-attr]


@pytest.mark.parametrize("column", ["policy", "accuracy_stderr", "seeds"])
def test_a_curve_without_a_column_that_is_needed_is_one_sentence(
    edited: Callable[..., Path], column: str
) -> None:
    run = load_run(edited("grown/curve.csv", lambda table: table.drop(columns=column)))
    for read in (read_curve, lambda run: list(pictures(run)), lambda run: page([run])):
        with pytest.raises(UserError, match=f"lacks the column '{column}'"):
            read(run)


def test_a_curve_may_lack_what_is_only_shown(edited: Callable[..., Path]) -> None:
    bare = ["alpha", "beta", "gamma", "depth", "width", "resolution", "macs", "params", "on_front"]
    run = load_run(edited("grown/curve.csv", lambda table: table.drop(columns=bare)))
    assert "effnet-b0" in page([run])
