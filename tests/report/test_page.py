"""The page of a run, as text and in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from scaler import runs
from scaler.cli.report import report
from scaler.report.columns import CSV_FORMATS, curve_frame
from scaler.report.page import facts
from scaler.report.page.answers import scale_answer, search_answer
from scaler.report.page.page import page, write_page
from scaler.report.page.svg import inline_svg
from scaler.report.pictures.style import new_figure
from scaler.runs import Run
from tests.cli.test_pareto import SPACE, network, scaled, searched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

POLICIES = ("compound", "depth", "width", "resolution")


@pytest.fixture(scope="module")
def scaling(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of four policies at phi = 0..3 with three seeds."""
    generator = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    trials = ["candidate,seed_index,rung,epochs,images,train_flops,accuracy,loss,seconds,state"]
    for policy in POLICIES:
        for phi in range(0 if policy == "compound" else 1, 4):
            training = len(rows)
            level = 0.6 + 0.05 * phi - 0.012 * POLICIES.index(policy) * phi
            seeds = [level + 0.004 * generator.standard_normal() for _ in range(3)]
            trials += [f"{training},{s},0,4,1,1,{value},1,1,complete" for s, value in enumerate(seeds)]
            rows.append(
                {
                    "network": f"{policy}-phi-{phi}",
                    "base": "effnet-b0",
                    "policy": policy,
                    "phi": phi,
                    "depth": 1.0,
                    "width": 1.0,
                    "resolution": 224,
                    "flops": int(4e8 * 2**phi),
                    "params": 5_000_000,
                    "activations": 7_000_000,
                    "accuracy": np.mean(seeds),
                    "accuracy_stderr": np.std(seeds, ddof=1) / 3**0.5,
                    "seeds": 3,
                    "training": training,
                }
            )
    asked = {"phis": [0, 1, 2, 3], "compare": None, "flops": None}
    networks = [[row["policy"], row["phi"]] for row in rows]
    configuration = {"space": SPACE, "asked": asked, "networks": networks, "search": "one", "seed": 7}
    with runs.open_run(tmp_path_factory.mktemp("page"), "four", "scale", configuration) as run:
        run.write_csv("curve.csv", curve_frame(rows), CSV_FORMATS)
        run.write_text("trials.csv", "\n".join(trials) + "\n")
        run.finish()
    return run


@pytest.fixture(scope="module")
def written(scaling: Run) -> Path:
    """The file of its page."""
    return write_page([scaling])


class Outline(HTMLParser):
    """Where a page would go for more, and whether its elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_page_stands_alone_and_answers_first(written: Path) -> None:
    outline = Outline()
    outline.feed(written.read_text())
    assert all(link.startswith(("#", "data:")) for link in outline.links)
    words = " ".join(" ".join(outline.text).split())
    answer = words.index("effnet-b0 grows from")
    assert answer < words.index("better on the mean of all phis") < words.index("The networks")
    assert words.index("The networks") < words.index("What this cannot say")
    assert "scaler scale --search one --phi 0,1,2,3 --compare depth,width,resolution" in words
    assert "--seed 7" in words


def test_no_two_pictures_of_a_page_share_an_id() -> None:
    def drawn(name: str) -> str:
        figure, axes = new_figure(4, name, name)
        axes.plot([0, 1], [0, 1], label=name)
        axes.legend()
        return inline_svg(figure, name)

    text = drawn("a") + drawn("b")
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 1
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) <= set(ids)


POLICY = {"name": "compound", "alpha": 1.2, "beta": 1.1, "gamma": 1.15, "path": "Policy"}
GROWN = {
    "space": {"seeds": 2},
    "asked": {"phis": [2]},
    "networks": [["compound", 2], ["width", 2]],
    "search": "one",
}


@pytest.mark.parametrize(
    ("changed", "command"),
    [
        ({}, "--search one --phi 2,2 --compare width --seeds 2"),
        (
            {"policy": {**POLICY, "path": "PathPolicy"}},
            "--search one --path law --phi 2,2 --compare width --seeds 2",
        ),
        ({"train": False}, "--search one --phi 2,2 --compare width --no-train"),
        ({"asked": {"flops": "2 x"}}, "--search one --flops '2 x' --compare width --seeds 2"),
        ({"networks": [["compound", 0]]}, "--search one --phi 0 --compare none --seeds 2"),
        (
            {"asked": {"space": {"seeds": 3}}},
            "--space space.yaml --alpha 1.2 --beta 1.1 --gamma 1.15 --phi 2,2 --compare width --seeds 2",
        ),
    ],
)
def test_the_command_makes_this_run_again(changed: dict[str, Any], command: str, tmp_path: Path) -> None:
    run = Run(tmp_path, "scale", {**GROWN, "policy": POLICY, **changed})
    assert facts.command(run, scaling=True) == f"scaler scale {command}"


def test_the_command_names_data_that_the_search_did_not_have(tmp_path: Path) -> None:
    space = {"base": "resnet-20", "data": "fractals"}
    with runs.open_run(tmp_path, "one", "search", {"space": space}) as search:
        search.finish()

    def said(data: str) -> str:
        grown = {**GROWN, "policy": POLICY, "space": {"seeds": 2, "data": data}, "asked": {"phis": [2]}}
        return facts.command(Run(tmp_path / "two", "scale", grown), scaling=True)

    assert said("digits").startswith("scaler scale --search one --data digits --phi 2,2 ")
    assert said("folder:my photos").startswith(
        "scaler scale --search one --data 'folder:my photos' --phi 2,2"
    )
    assert said("fractals").startswith("scaler scale --search one --phi 2,2 ")


@pytest.mark.parametrize(
    ("budget", "said"), [("2x", "effnet-b0, with 2x the FLOPs: "), ("800M", "effnet-b0, at 800M FLOPs: ")]
)
def test_a_budget_is_a_factor_or_a_count(tmp_path: Path, budget: str, said: str) -> None:
    run = runs.load_run(searched(tmp_path, "found"))
    answer = json.loads((run.path / "coefficients.json").read_text())
    run.write_json("coefficients.json", {**answer, "budget": budget})
    assert next(search_answer(run)).startswith(said)


def test_one_trained_network_is_said(scaling: Run, tmp_path: Path) -> None:
    shutil.copytree(scaling.path, tmp_path / "one")
    curve = (tmp_path / "one" / "curve.csv").read_text().splitlines()
    (tmp_path / "one" / "curve.csv").write_text("\n".join([curve[0], curve[2], ""]))
    trials = (tmp_path / "one" / "trials.csv").read_text().splitlines()
    own = [line for line in trials if line.startswith("1,")]
    (tmp_path / "one" / "trials.csv").write_text("\n".join([trials[0], *own, ""]))
    said = next(scale_answer(runs.load_run(tmp_path / "one")))
    assert re.fullmatch(r"compound: effnet-b0 reaches 6\d\.\d ± \d\.\d % at 800M FLOPs\.", said)


def test_a_scaling_that_shrinks_is_said_to_shrink_from_its_base(tmp_path: Path) -> None:
    """As of a search with a budget of 0.5x, at phi = 1."""
    rows = [network("base", 800, 0.7, phi=0), network("compound-phi-1", 400, 0.6, gamma=0.7)]
    said = next(scale_answer(runs.load_run(scaled(tmp_path, "half", rows))))
    assert said == "effnet-b0 shrinks from 70.0 % at 800 FLOPs to 60.0 ± 1.0 % at 400."


def test_every_network_says_its_numbers_in_the_picture(written: Path) -> None:
    tips = re.findall(r'data-tip="([^"]*)"', written.read_text())
    assert len(tips) >= 13
    assert any(re.fullmatch(r"depth, φ = 2: 6\d\.\d ± \d\.\d %, 1\.60G FLOPs", tip) for tip in tips)


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    row = {"network": "a", "base": "<script>alert(1)</script>", "policy": "x", "phi": 1, "flops": 1}
    with runs.open_run(tmp_path, "odd", "scale", {}) as run:
        run.write_csv("curve.csv", curve_frame([row]), CSV_FORMATS)
    assert "<script>alert" not in page([run])


def test_a_search_and_a_scaling_make_one_page(
    scaling: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = searched(tmp_path, "search")
    report([str(search), str(scaling.path)], to=tmp_path / "both.html")
    text = (tmp_path / "both.html").read_text()
    assert capsys.readouterr().out.strip() == str(tmp_path / "both.html")
    assert text.index("Search search") < text.index("Scaling four") < text.index("All networks together")
    assert "scaler search --space space.yaml" in text


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    pytest.importorskip("playwright", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [
        (1280, 900, "light"),
        (390, 844, "dark"),
        pytest.param(1280, 900, "dark", marks=pytest.mark.slow),
        pytest.param(390, 844, "light", marks=pytest.mark.slow),
    ],
)
def test_the_page_works_in_a_browser(
    written: Path, browser: Browser, width: int, height: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    context.set_offline(True)
    shown, wrong = context.new_page(), list[str]()
    shown.on("console", lambda message: wrong.append(message.text))
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.goto(written.as_uri())
    # Nothing is wider than the page but what scrolls inside its own frame.
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    for frame in ("figure", ".table", ".answer", "pre", "dl"):
        for box in [one.bounding_box() for one in shown.locator(frame).all()]:
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
    accuracies = shown.locator("tbody tr td:nth-child(9)")
    shown.get_by_role("button", name="accuracy %").click()
    rising = [float(text.split()[0]) for text in accuracies.all_text_contents()]
    assert rising == sorted(rising)
    shown.get_by_role("button", name="accuracy %").click()
    falling = [float(text.split()[0]) for text in accuracies.all_text_contents()]
    assert falling == sorted(falling, reverse=True)
    mark = shown.locator(".tip").first
    mark.scroll_into_view_if_needed()
    mark.dispatch_event("mouseenter")
    assert "FLOPs" in shown.locator("#tip").inner_text()
    colours = shown.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    assert (light[0] > light[1]) == (scheme == "light")
    assert wrong == []
    context.close()
