"""`scaler pareto` and `scaler plot` on run directories that were written by hand."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scaler import runs
from scaler.cli.pareto import pareto
from scaler.cli.report import plot, report
from scaler.errors import UserError
from scaler.report.columns import CSV_FORMATS, curve_frame
from tests.search.answers import an_answer

SPACE = {
    "base": "effnet-b0",
    "data": "fractals",
    "proxy": {"resolution": 16},
    "recipe": {"epochs": 4, "images": 4000},
}

CANDIDATES = """\
candidate,network,aliases,share_depth,share_width,share_resolution,alpha,beta,gamma,depth,width,resolution,\
flops,macs,params,activations,flops_ratio,feasible,reason
0,depth-only,,1,0,0,2,1,1,2,1,224,800,790,60,50,2.0,True,
1,1-1-2,,0.25,0.25,0.5,1.2,1.1,1.2,1.2,1.1,270,805,795,70,55,2.01,True,
2,width-only,,0,1,0,1,1.41,1,1,1.4,224,795,790,90,40,1.99,True,
,2-1-1,,0.5,0.25,0.25,1.4,1.1,1.1,,,,,,,,1.7,False,"1.70x, not 2x"
"""

TRIALS = """\
candidate,seed_index,rung,epochs,images,train_flops,accuracy,loss,seconds,state
0,0,0,1,10,10,0.40,1.5,1,complete
1,0,0,1,10,10,0.50,1.4,1,complete
1,0,1,4,40,40,0.70,1.0,4,complete
1,1,0,1,10,10,0.52,1.4,1,complete
1,1,1,4,40,40,0.74,1.0,4,complete
2,0,0,1,10,10,0,,1,diverged
"""


def network(
    name: str, flops: int, accuracy: float | None, params: int = 100, **more: object
) -> dict[str, object]:
    return {
        "network": name,
        "base": "effnet-b0",
        "policy": "compound",
        "phi": 1,
        "depth": 1,
        "width": 1,
        "resolution": 24,
        "flops": flops,
        "params": params,
        "activations": 10,
        "accuracy": accuracy,
        "accuracy_stderr": 0.01,
        "seeds": 3,
        **more,
    }


def scaled(
    results: Path, name: str, rows: list[dict[str, object]], finished: bool = True, fingerprint: str = "a"
) -> Path:
    with runs.open_run(results, name, "scale", {"space": SPACE, "data_fingerprint": fingerprint}) as run:
        run.write_csv("curve.csv", curve_frame(rows), CSV_FORMATS)
        if finished:
            run.finish()
    return run.path


def searched(results: Path, name: str) -> Path:
    with runs.open_run(results, name, "search", {"space": SPACE, "data_fingerprint": "a"}) as run:
        run.write_text("candidates.csv", CANDIDATES)
        run.write_text("trials.csv", TRIALS)
        run.write_json("coefficients.json", an_answer(("1-1-2", "depth-only")))
        run.finish()
    return run.path


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def front_of(path: Path) -> list[str]:
    return [row["network"] for row in read(path) if row["on_front"] == "True"]


THREE = [network("a", 100, 0.6), network("b", 200, 0.7, params=50), network("c", 300, 0.65, params=40)]


def test_the_newest_finished_scaling_is_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scaled(tmp_path, "old", THREE[:1])
    newest = scaled(tmp_path, "new", THREE)
    searched(tmp_path, "search")
    scaled(tmp_path, "unfinished", THREE, finished=False)
    pareto(results=tmp_path)
    assert front_of(newest / "pareto.csv") == ["a", "b"]
    out, err = capsys.readouterr()
    assert "60.0 ± 1.0" in out
    assert str(newest) in err


def test_objectives_decide_the_front_and_output_where_it_goes(tmp_path: Path) -> None:
    run = scaled(tmp_path, "run", THREE)
    file = tmp_path / "elsewhere" / "table.csv"
    pareto([str(run)], objectives="accuracy,params", to=file)
    assert front_of(file) == ["b", "c"]
    assert not (run / "pareto.csv").exists()


def test_json_is_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = scaled(tmp_path, "run", [*THREE, network("d", 400, None, accuracy_stderr=None)])
    pareto(["run"], results=tmp_path, json=True, quiet=True)
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["objectives"] == ["accuracy", "flops"]
    assert found["file"] == str(run / "pareto.csv")
    assert [one["on_front"] for one in found["networks"]] == [True, True, False, False]
    assert found["networks"][3]["accuracy"] is None
    assert err == ""


def test_a_run_counts_once_and_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    here, there = scaled(tmp_path / "a", "run", THREE), scaled(tmp_path / "b", "run", THREE[:1])
    pareto([str(here), "run"], results=tmp_path / "a")
    assert [row["network"] for row in read(here / "pareto.csv")] == ["a", "b", "c"]
    file = tmp_path / "both.csv"
    pareto([str(here), str(there)], to=file)
    assert [row["run"] for row in read(file)] == [*3 * [str(here)], str(there)]
    page = tmp_path / "page.html"
    report([str(here), str(here)], page)
    assert "All networks together" not in page.read_text()


def test_runs_are_put_together_and_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaled(tmp_path, "one", THREE)
    scaled(tmp_path, "two", [network("x", 150, 0.9)], fingerprint="b")
    pareto(["one", "two"], results=tmp_path)
    rows = read(tmp_path / "pareto.csv")
    assert next(iter(rows[0])) == "run"
    assert [(row["run"], row["network"]) for row in rows if row["on_front"] == "True"] == [
        ("one", "a"),
        ("one", "b"),  # cheaper and better is x, but on other data
        ("two", "x"),
    ]
    assert "do not compare" in capsys.readouterr().err


def test_costs_alone_compare_across_all_runs(tmp_path: Path) -> None:
    scaled(tmp_path, "one", [network("a", 100, 0.6, params=50)])
    scaled(tmp_path, "two", [network("x", 90, 0.5, params=40)], fingerprint="b")
    pareto(["one", "two"], objectives="flops,params", results=tmp_path)
    assert front_of(tmp_path / "pareto.csv") == ["x"]


def test_a_network_is_dominated_only_if_significantly_so(tmp_path: Path) -> None:
    run = scaled(tmp_path, "run", [network("a", 100, 0.61), network("b", 200, 0.60), network("c", 300, 0.5)])
    pareto(["run"], results=tmp_path)
    assert front_of(run / "pareto.csv") == ["a", "b"]  # a lead of 1 point with an error of 1.4
    pareto(["run"], results=tmp_path, strict=True)
    assert front_of(run / "pareto.csv") == ["a"]


def test_published_networks_come_with_sources_and_hold_the_claim(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pareto(published=True, results=tmp_path, json=True, quiet=True)
    found = {row["network"]: row for row in json.loads(capsys.readouterr().out)["networks"]}
    assert {f"EfficientNet-B{n}" for n in range(8)} <= set(found)
    b3, resnext = found["EfficientNet-B3"], found["ResNeXt-101"]
    # Tan & Le 2019, section 5.2: B3 is more accurate than ResNeXt-101 with 18x fewer FLOPs.
    assert b3["accuracy"] > resnext["accuracy"]
    assert round(resnext["flops"] / b3["flops"]) == 18
    assert b3["on_front"]
    assert not resnext["on_front"]
    assert all(row["source"].startswith(("Tan & Le", "Hu et al.", "Huang et al.")) for row in found.values())


def test_published_networks_have_a_front_of_their_own_beside_a_run(tmp_path: Path) -> None:
    scaled(tmp_path, "run", THREE)
    pareto(["run"], published=True, results=tmp_path, to=tmp_path / "both.csv")
    assert {"a", "b", "EfficientNet-B0"} <= set(front_of(tmp_path / "both.csv"))


@pytest.mark.parametrize(
    ("form", "begins", "holds"),
    [
        ("md", "| network |", "| c | compound | 1.00x |"),
        ("latex", "\\begin{tabular}{l", "60.0 $\\pm$ 1.0"),
        ("json", "[", '"network": "a"'),
        ("csv", "network,base", "\nb,effnet-b0"),
    ],
)
def test_a_table_is_written_as_asked(tmp_path: Path, form: str, begins: str, holds: str) -> None:
    scaled(tmp_path, "run", THREE)
    file = tmp_path / "table.txt"
    pareto(["run"], form=form, to=file, results=tmp_path)
    assert file.read_text().startswith(begins)
    assert holds in file.read_text()
    ending = {"md": "md", "latex": "tex", "json": "json", "csv": "csv"}[form]
    pareto(["run"], to=tmp_path / f"table.{ending}", results=tmp_path)
    assert (tmp_path / f"table.{ending}").read_text() == file.read_text()


def test_candidates_of_a_search_count_at_their_highest_rung(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path, "search")
    pareto(results=tmp_path)
    rows = {row["network"]: row for row in read(run / "pareto.csv")}
    assert set(rows) == {"depth-only", "1-1-2", "width-only"}
    chosen = rows["1-1-2"]
    assert (chosen["accuracy"], chosen["seeds"], chosen["epochs"], chosen["base"]) == (
        "0.72",
        "2",
        "4",
        "effnet-b0",
    )
    assert float(chosen["accuracy_stderr"]) == pytest.approx(0.02)
    assert rows["depth-only"]["accuracy_stderr"] == rows["width-only"]["accuracy"] == ""
    assert front_of(run / "pareto.csv") == ["depth-only", "1-1-2"]
    assert "highest rung" in capsys.readouterr().err


def test_tables_without_a_run_file_will_do(tmp_path: Path) -> None:
    run = searched(tmp_path, "search")
    (run / "run.yaml").unlink()
    pareto([str(run)])
    assert front_of(run / "pareto.csv") == ["depth-only", "1-1-2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no finished run in"),
        ({"run": ["nothing"]}, "there is no run 'nothing'.*there is bad, unfinished"),
        (
            {"run": ["unfinished"], "objectives": "accuracy,latency"},
            "unfinished has no column.*it has flops, macs",
        ),
        ({"run": ["unfinished"], "objectives": "accuracy"}, "is not two objectives"),
        ({"run": ["unfinished"], "form": "xml"}, "'xml' is no table format"),
        ({"run": ["bad"]}, "bad/curve.csv, line 3: flops is 'many', which is not a whole number"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    scaled(tmp_path, "unfinished", THREE, finished=False)
    bad = scaled(tmp_path, "bad", THREE, finished=False) / "curve.csv"
    bad.write_text(bad.read_text().replace(",200,", ",many,"))
    with pytest.raises(UserError, match=message) as error:
        pareto(**arguments, results=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00garbage", b"a,b\n1,2,3,4\n1\n", b"network,base\nx,y\n"]
)
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    run = scaled(tmp_path, "run", THREE)
    (run / "curve.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"run/curve\.csv") as error:
        pareto(["run"], results=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("form", "starts"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_are_drawn_from_the_tables_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, starts: bytes
) -> None:
    curve, search = scaled(tmp_path, "curve", THREE), searched(tmp_path, "search")
    plot("curve", form=form, results=tmp_path, json=True)
    assert json.loads(capsys.readouterr().out)["files"] == [str(curve / f"curve.{form}")]
    plot(str(search), form=form, to=tmp_path / "pictures")
    written = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in written] == [
        f"{name}.{form}" for name in ("doublings", "history", "triangle")
    ]
    assert all(path.read_bytes().startswith(starts) for path in written)


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with runs.open_run(tmp_path, "empty", "search", {}):
        pass
    with pytest.raises(UserError, match=r"empty has nothing to draw"):
        plot("empty", results=tmp_path)
    with pytest.raises(UserError, match="'gif' is no picture format"):
        plot("empty", form="gif", results=tmp_path)


def test_neither_command_imports_torch(tmp_path: Path) -> None:
    scaled(tmp_path, "run", THREE)
    code = (
        "import sys; from pathlib import Path; from scaler.cli.pareto import pareto; "
        "from scaler.cli.report import plot; results = Path(sys.argv[1]); "
        "pareto(results=results); plot(results=results); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
