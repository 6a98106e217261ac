"""Names with dollars, which mean mathematics to matplotlib, are drawn as they are."""

import re
from collections.abc import Callable

import matplotlib
import pytest
from matplotlib.figure import Figure

from scaler.report.page.svg import inline_svg
from scaler.report.pictures.history_plot import draw_history
from scaler.report.pictures.style import drawing, new_figure, rendered
from tests.report.test_pictures import STOPPED_EARLY

#: No mathematics, and mathematics: the first ended in an error, the second lost its dollars.
DOLLARS = (r"ph$\q$", "$a_1$ of $b$")


def a_figure(name: str) -> Figure:
    """A name wherever a picture has words: title, caption, label, ticks, legend, a note."""
    figure, axes = new_figure(4, name, f"images of {name}")
    axes.plot([0, 1], [0, 1], label=name)
    axes.set_xticks([0, 1], [name, "b"])
    axes.set_ylabel(name)
    axes.annotate(name, (0.5, 0.5))
    axes.legend()
    return figure


@pytest.mark.parametrize("name", DOLLARS)
def test_a_page_shows_dollars_everywhere(name: str) -> None:
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", inline_svg(a_figure(name), "x"))
    assert len([text for text in texts if name in text]) == 6


@pytest.mark.parametrize("name", DOLLARS)
@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_of_a_name_with_dollars_is_drawn(name: str, form: str) -> None:
    assert rendered(a_figure(name), "png" if form == "png" else "svg")


@pytest.mark.parametrize("name", DOLLARS)
def test_a_picture_of_a_run_holds_the_name_of_its_network(name: str) -> None:
    svg = inline_svg(draw_history(STOPPED_EARLY, {0: name}, f"on {name}", [0]), "x")
    assert f">{name}<" in svg
    assert f">on {name}<" in svg


def test_labels_that_are_made_while_drawing_are_as_they_are() -> None:
    figure, axes = new_figure(4, "t", "c")
    axes.plot([0, 1], [0, 1])
    axes.xaxis.set_major_formatter(lambda value, _: rf"$\q{value:g}$")
    assert r"$\q0.4$" in inline_svg(figure, "x")


@pytest.mark.parametrize(
    "make", [lambda: a_figure("plain"), lambda: draw_history(STOPPED_EARLY, {}, "c", [])]
)
def test_other_pictures_are_what_they_were(make: Callable[[], Figure]) -> None:
    before = matplotlib.rcParams["text.parse_math"]
    with matplotlib.rc_context({"svg.hashsalt": "scaler"}):
        plain = make()
        plain.draw_without_rendering()
    figure = make()
    with drawing(figure, "scaler"):
        figure.draw_without_rendering()
    assert [t.get_window_extent().bounds for t in plain.texts] == [
        t.get_window_extent().bounds for t in figure.texts
    ]
    assert matplotlib.rcParams["text.parse_math"] == before
