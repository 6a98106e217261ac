"""Commands as functions: what they give, how they say what is wrong, and that they are the commands."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info

import scaler
from scaler.api.in_python import keywords
from scaler.api.options import one_blas_thread
from scaler.api.results import Scaling, Search
from scaler.cli.profile import profile as profile_command
from scaler.cli.scale import scale as scale_command
from scaler.cli.search import search as search_command
from scaler.cost.network_cost import cost
from scaler.errors import UserError
from scaler.networks.registry import base

SPACE = """
about: a test
base: resnet-20
grid: {lattice: 1}
data: digits
proxy: {resolution: 8, width: 0.5, divisor: 1, upsample: true}
recipe: {epochs: 1, images: 128, batch_size: 64, validation_images: 100}
rungs: [1]
seeds: 1
strategy: exhaustive
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("python") / "space.yaml"
    file.write_text(SPACE)
    return file


@pytest.fixture(scope="module")
def results(space: Path) -> Path:
    return space.parent / "results"


@pytest.fixture(scope="module")
def searched(space: Path, results: Path) -> Search:
    return scaler.search(space=space, results=results, name="one", workers=1, quiet=True)


@pytest.fixture(scope="module")
def grown(searched: Search, results: Path) -> Scaling:
    return scaler.scale(
        search=searched,
        phi=[1],
        compare=["width"],
        seeds=1,
        results=results,
        name="two",
        workers=1,
        quiet=True,
    )


def test_a_search_gives_its_tables_and_its_answer(searched: Search) -> None:
    written = json.loads((searched.path / "coefficients.json").read_text())
    assert searched.answer.network == written["network"]
    assert len(searched.candidates) == len(pd.read_csv(searched.path / "candidates.csv"))
    assert (
        len(searched.trials) == len(pd.read_csv(searched.path / "trials.csv")) == searched.plan["trainings"]
    )
    chosen = searched.candidates.set_index("network").loc[written["network"]]
    assert chosen["alpha"] == pytest.approx(written["alpha"])
    assert searched.report.is_file()


def test_a_notebook_shows_what_the_page_says(searched: Search, grown: Scaling) -> None:
    for found in (searched, grown):
        shown = unescape(found._repr_html_())
        assert all(line in shown for line in found.lines)
        assert "<script" not in shown
        assert repr(found).splitlines()[1] == found.lines[0]
    assert "Chosen: " in repr(searched)
    pictures = searched.pictures()
    assert set(pictures) == {"triangle", "doublings", "history"}
    assert pictures["history"]._repr_png_().startswith(b"\x89PNG")


def test_pictures_are_saved_as_asked(grown: Scaling, tmp_path: Path) -> None:
    picture = grown.pictures()["curve"]
    assert picture.save(tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(UserError, match="no format of pictures"):
        picture.save(tmp_path / "a.gif")


def test_a_scaling_gives_its_networks(grown: Scaling, searched: Search) -> None:
    assert list(grown.curve["phi"].unique()) == [1.0]
    assert list(grown.curve["policy"]) == ["compound", "width"]
    row = grown.curve.iloc[0]
    assert row["alpha"] == pytest.approx(searched.answer.alpha)
    network = grown.network(1)
    assert sum(p.numel() for p in network.parameters()) == row["params"]
    proxy = grown.network(1, policy="width", proxy=True)
    pixels = proxy.spec.resolution
    images = torch.zeros(2, 3, pixels, pixels)
    again = scaler.load(grown.path, 1, policy="width", proxy=True)
    assert torch.equal(proxy(images), again(images))
    exported = grown.export(1, to="safetensors", proxy=True)
    assert scaler.load(exported.file).spec == grown.network(1, proxy=True).spec


def test_fronts_hold_several_runs_and_real_costs(
    grown: Scaling, searched: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaler.cost.latency._MOST", 5)  # passes: that there is a time is enough
    both = grown.pareto(searched, objectives="flops,params")
    assert set(both["run"]) == {"one", "two"}
    measured = grown.pareto(objectives="latency,memory", measure=True, device="cpu")
    assert (measured["latency_ms"] > 0).all()
    assert measured["on_front"].any()


def test_runs_are_read_again(grown: Scaling, searched: Search, results: Path) -> None:
    again = scaler.read("one", results=results)
    assert isinstance(again, Search)
    assert again.lines == searched.lines
    newest = scaler.read(results=results)
    assert isinstance(newest, Scaling)
    assert newest.lines == grown.lines
    columns = ["flops", "params", "seeds"]
    pd.testing.assert_frame_equal(newest.curve[columns], grown.curve[columns])


def test_a_dry_run_leaves_nothing_and_says_so(space: Path, tmp_path: Path) -> None:
    planned = scaler.search(space=space, results=tmp_path, workers=1, dry_run=True, quiet=True)
    assert planned.candidates["feasible"].sum() == 4
    assert planned.trials.empty
    assert planned.plan["trainings"] == 4
    assert "4 candidates" in repr(planned)
    assert "width-only" in planned._repr_html_()
    with pytest.raises(UserError, match="dry run"):
        _ = planned.answer
    counted = scaler.scale(space=space, phi=1, compare=(), results=tmp_path, dry_run=True, quiet=True)
    assert list(counted.curve["policy"]) == ["published", "published"]
    assert "2 networks" in repr(counted)
    assert list(tmp_path.iterdir()) == []


def test_flops_may_be_a_number(space: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"space": space, "results": tmp_path, "dry_run": True, "quiet": True}
    start = scaler.profile("resnet-20").costs["number"]["flops"]
    by_number = scaler.scale(flops=4.0 * start, compare=(), **options)
    by_text = scaler.scale(flops=f"{4 * start}", compare=(), **options)
    assert by_number.curve["flops"].max() == pytest.approx(4 * start, rel=0.1)
    pd.testing.assert_frame_equal(by_number.curve, by_text.curve)
    planned = scaler.search(budget=2.0 * start, workers=1, **options)
    assert planned.candidates["flops_ratio"].median() == pytest.approx(2, rel=0.05)


def test_a_profile_is_the_networks_own_count() -> None:
    found = scaler.profile("resnet-20", width=2, memory=True)
    own = cost(found.profile.spec)
    assert found.costs["number"]["flops"] == own.flops
    assert found.costs["number"]["training memory"] > 4 * own.params
    assert found.layers["params"].sum() == own.params
    assert "times the base" in repr(found)
    assert "times the base" in found._repr_html_()
    assert scaler.profile("resnet-20").profile.spec == base("resnet-20")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: scaler.search(base="effnet-b9", quiet=True), "did you mean effnet-b"),
        (lambda: scaler.search(seed=-1), "^seed=-1 must be at least 0"),
        (lambda: scaler.search(workers=0), "^workers=0 must be"),
        (lambda: scaler.search(workers=cast(Any, 1.5)), "^workers=1.5 must be .* whole"),
        (lambda: scaler.search(se_skip_last_stage=True), "^se_skip_last_stage needs se, e.g. se=16"),
        (lambda: scaler.search(time_budget="soon"), "^time_budget: cannot read 'soon'"),
        (lambda: scaler.search(engine="steam"), "^engine='steam' is no engine"),
        (lambda: scaler.search(max_params=-3), "cannot read the number"),
        (lambda: scaler.scale(path="winding"), "^path='winding' is no path"),
        (lambda: scaler.scale(phi=99), "^phi=99 is beyond"),
        (lambda: scaler.scale(phi=cast(Any, np.int64(99))), "^phi=99 is beyond"),
        (lambda: scaler.scale(alpha=1e300), "^alpha=.* must be at least 0.1 and at most 10"),
        (lambda: scaler.profile("resnet-20", phi=1e6), "^phi=1000000.0 must be at least -20"),
        (lambda: scaler.profile("resnet-20", depth=1e308), "^depth=1e.* must be at most 100"),
        (lambda: scaler.profile("resnet-20", width=math.nan), "^width nan must be at most 100, and finite"),
        (lambda: scaler.profile("resnet-20", resolution=math.inf), "^resolution inf must be at most 8192"),
        (lambda: scaler.profile("resnet-20", classes=0), "^classes=0 must be at least 1"),
        (lambda: scaler.profile("resnet-20", small=cast(Any, 8.5)), "^small=8.5 must be .* whole"),
        (lambda: scaler.profile("resnet-20", memory=True, batch=0), "^batch=0 must be at least 1"),
        (lambda: scaler.profile("resnet-20", batch=4), "^batch=4 is of memory or latency"),
        (lambda: scaler.read("nothing", results="nowhere"), "there is no run 'nothing'"),
    ],
)
def test_what_is_wrong_is_said_in_pythons_words(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("--predict 10x cannot be answered", "predict=10x cannot be answered"),
        ("give one of --search and --base", "give one of search and base"),
        ("--name 'a b' is no name", "name='a b' is no name"),
        ("such as --alpha 1.2 --beta 1.1", "such as alpha=1.2 beta=1.1"),
        ("run `scaler scale --phi 4` first", "run `scaler scale --phi 4` first"),
        ("--time-budget, or less", "time_budget, or less"),
        ("a -- b", "a -- b"),
    ],
)
def test_options_become_keywords(said: str, heard: str) -> None:
    assert keywords(said) == heard


@pytest.mark.parametrize(
    ("function", "command", "only_there"),
    [
        (scaler.search, search_command, {"context", "json"}),
        (scaler.scale, scale_command, {"context", "json", "predict", "for_accuracy"}),
        (scaler.profile, profile_command, {"context", "json", "quiet", "layers"}),
    ],
)
def test_keywords_are_the_commands_options(
    function: Callable[..., object], command: Callable[..., object], only_there: set[str]
) -> None:
    own, theirs = signature(function).parameters, signature(command).parameters
    names = {"small" if name == "small_image" else name for name in theirs} - only_there
    assert set(own) == names
    assert all(
        p.kind is Parameter.KEYWORD_ONLY for name, p in own.items() if name != "base" or p.default is None
    )
    for name in names - {"small"}:
        if (default := own[name].default) is not Parameter.empty:
            assert str(default) == str(theirs[name].default)


def test_small_matrices_take_one_thread_of_any_blas() -> None:
    with one_blas_thread():
        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert set(pools) == {1}


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, scaler, scaler.search; scaler.__all__; "
        "print({'torch', 'numpy', 'pandas', 'matplotlib', 'pydantic', 'rich'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_script_may_search_at_its_top_level(space: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import scaler\n"
        "print('begun')\n"
        f"found = scaler.search(space={str(space)!r}, name='three', workers=2, quiet=True)\n"
        "print(found.answer.network)\n"
    )
    ran = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    begun, network = ran.stdout.split()
    assert begun == "begun"
    assert network in set(pd.read_csv(tmp_path / "results" / "three" / "candidates.csv")["network"])
