"""Pictures hold the data that they are given, and no words lie over each other."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from matplotlib.tri import TriContourSet

from scaler.networks.registry import base
from scaler.networks.scale import scale
from scaler.networks.yaml_spec import write
from scaler.report.columns import curve_frame
from scaler.report.page.facts import proxy_facts
from scaler.report.pictures.captions import caption
from scaler.report.pictures.curve_plot import draw_curve
from scaler.report.pictures.doubling_plot import draw_doublings
from scaler.report.pictures.history_plot import draw_history
from scaler.report.pictures.stages_plot import draw_stages, stage_flops
from scaler.report.pictures.style import moved_apart, rendered
from scaler.report.pictures.triangle_plot import draw_triangle
from scaler.report.tables import goes
from scaler.report.trained_proxy import trained_proxy
from scaler.report.trial_means import at_highest_rung, at_shared_rung, means
from scaler.runs import Run
from scaler.scaling.multipliers import Multipliers
from scaler.scaling.rounding import Rounding
from scaler.scaling.shares import Shares, lattice
from scaler.search.inference.law_summary import Gain, LawSummary, Waypoint, Worth
from scaler.search.space import read_space
from tests.search.answers import a_law

POLICIES = ("compound", "depth", "width", "resolution")


def a_curve(
    accuracy_of: Callable[[str, float], float | None] = lambda policy, phi: 0.6 + 0.03 * phi,
    phis: tuple[float, ...] = (1, 2, 3),
) -> pd.DataFrame:
    def row(policy: str, phi: float) -> dict[str, object]:
        return {
            "network": f"{policy}-{phi}",
            "base": "effnet-b0",
            "policy": policy,
            "phi": phi,
            "flops": int(4e6 * 2**phi),
            "accuracy": accuracy_of(policy, phi),
            "accuracy_stderr": 0.005,
            "seeds": 3,
        }

    return curve_frame([row("compound", 0), *(row(policy, phi) for policy in POLICIES for phi in phis)])


def trials(rows: list[tuple[int, int, int, int, float, str]]) -> pd.DataFrame:
    names = ["candidate", "seed_index", "rung", "epochs", "accuracy", "state"]
    return pd.DataFrame(rows, columns=names)


STOPPED_EARLY = trials(
    [
        (0, 0, 0, 1, 0.50, "complete"),
        (0, 0, 1, 4, 0.70, "complete"),
        (0, 1, 0, 1, 0.52, "complete"),
        (0, 1, 1, 4, 0.74, "complete"),
        (1, 0, 0, 1, 0.40, "complete"),
        (1, 1, 0, 1, 0.00, "diverged"),
        (2, 0, 0, 1, 0.00, "diverged"),
    ]
)


def a_triangle() -> pd.DataFrame:
    shares = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0)]
    frame = pd.DataFrame(shares, columns=["share_depth", "share_width", "share_resolution"])
    candidate = pd.array([0, 1, 2, pd.NA], dtype="Int64")
    return frame.assign(candidate=candidate, feasible=[True, True, True, False], network=list("abcd"))


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every word but those at the ticks, with its box in pixels."""
    figure.draw_without_rendering()
    ticks = {
        id(t) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels()
    }
    found = {id(t): t for t in figure.findobj(Text) if t.get_text().strip() and id(t) not in ticks}
    # An annotation's own extent has its arrow in it.
    return [(t.get_text(), Text.get_window_extent(t)) for t in found.values()]


def overlaps(boxes: Sequence[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of words that lie over each other."""
    return [
        (one, other)
        for i, (one, a) in enumerate(boxes)
        for other, b in boxes[i + 1 :]
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


def test_a_curve_draws_every_network_with_its_error() -> None:
    figure = draw_curve(a_curve(), "caption")
    containers = figure.axes[0].containers
    assert len(containers) == len(POLICIES)
    first = containers[0]
    assert isinstance(first, ErrorbarContainer)
    line = first.lines[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata()), [4e6, 8e6, 16e6, 32e6])
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [60, 63, 66, 69])
    bars = first.lines[2][0].get_segments()
    np.testing.assert_allclose(bars[1][:, 1], [62.5, 63.5])


@pytest.mark.parametrize("phis", [(1, 2, 3), (0.1, 0.2, 0.3, 0.4, 2)])
def test_no_words_of_a_curve_overlap_even_where_policies_are_equal(phis: tuple[float, ...]) -> None:
    words = texts(draw_curve(a_curve(phis=phis), "caption " * 20))
    assert overlaps(words) == []
    assert set(POLICIES) <= {text for text, _ in words}


def test_untrained_networks_leave_an_empty_curve_that_says_so() -> None:
    figure = draw_curve(a_curve(lambda policy, phi: None), "caption")
    assert "no network has been trained" in {text for text, _ in texts(figure)}


def test_means_are_over_complete_trainings_of_a_rung() -> None:
    table = means(STOPPED_EARLY)
    highest = at_highest_rung(table).set_index("candidate")
    assert [highest[name].loc[0] for name in ("rung", "seeds")] == [1, 2]
    assert highest.loc[0, "accuracy"] == pytest.approx(0.72)
    assert highest.loc[0, "accuracy_stderr"] == pytest.approx(0.02)
    assert np.isnan(highest["accuracy_stderr"].loc[1])
    assert at_shared_rung(table)["accuracy"].tolist() == pytest.approx([0.51, 0.40])


def test_the_triangle_compares_equally_long_trainings() -> None:
    figure = draw_triangle(a_triangle(), STOPPED_EARLY, "caption", best_set=(0, 1))
    colours = [c.get_array() for c in figure.axes[0].collections]
    np.testing.assert_allclose(next(values for values in colours if values is not None), [51, 40])
    assert "after 1 epoch" in figure.axes[1].get_title(loc="left")
    assert overlaps(texts(figure)) == []


def test_a_triangle_can_be_drawn_before_any_training() -> None:
    figure = draw_triangle(a_triangle(), STOPPED_EARLY.iloc[:0], "caption")
    assert "not trained" in {text for text, _ in texts(figure)}


def test_the_legend_of_a_triangle_names_what_is_there() -> None:
    off_budget = {"candidate": 3, "feasible": False, "network": "d+0 w+0 r+0"}
    kept = a_triangle().iloc[:3]
    both = [(c, 0, rung, 1 + 3 * rung, 0.5, "complete") for c in (0, 1) for rung in (0, 1)]

    def legend(rows: list[dict[str, object]]) -> set[str]:
        frame = pd.concat([kept, pd.DataFrame(rows)], ignore_index=True)
        return {text for text, _ in texts(draw_triangle(frame, trials(both), "caption", best_set=(0,)))}

    # No point is left out, and what was trained was trained equally long.
    assert legend([off_budget]) & {"left out", "larger: trained longer"} == set()
    assert "not trained" in legend([off_budget])
    left_out: dict[str, object] = {
        "feasible": False,
        "share_depth": 0.5,
        "share_width": 0.5,
        "share_resolution": 0.0,
    }
    assert "left out" in legend([off_budget, left_out])
    assert "larger: trained longer" in {
        text for text, _ in texts(draw_triangle(a_triangle(), STOPPED_EARLY, "caption"))
    }


def test_a_history_ends_where_a_candidate_was_stopped() -> None:
    figure = draw_history(STOPPED_EARLY, {0: "first", 1: "second"}, "caption", best_set=(0,))
    lines = [np.asarray(line.get_xdata()).tolist() for line in figure.axes[0].lines]
    assert lines == [[1, 4], [1]]
    words = {text for text, _ in texts(figure)}
    assert "first" in words
    assert "second" not in words


def test_the_legend_of_a_history_lies_under_its_lines() -> None:
    flat = trials([(c, 0, rung, epochs, 0.1 + 0.05 * c * rung, "complete")
                   for c in range(3) for rung, epochs in ((0, 1), (1, 2))])  # fmt: skip
    figure = draw_history(flat, {0: "flat", 1: "slow", 2: "fast"}, "caption", best_set=(2, 1))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    lowest = min(axes.transData.transform(line.get_xydata())[:, 1].min() for line in axes.lines)
    assert legend.get_window_extent().y1 < lowest


def test_a_picture_is_the_same_bytes_again() -> None:
    for form in ("png", "svg"):
        assert rendered(draw_curve(a_curve(), "x"), form) == rendered(draw_curve(a_curve(), "x"), form)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8).map(sorted))
def test_labels_are_moved_apart_and_stay_inside(values: list[float]) -> None:
    moved = moved_apart(values, gap=0.1)
    assert all(b - a > 0.1 - 1e-9 for a, b in pairwise(moved))
    assert all(at <= 1 for at in moved)
    assert moved_apart([0.1, 0.5], gap=0.1) == [0.1, 0.5]


def test_a_caption_says_data_proxy_and_seeds() -> None:
    space = {
        "data": "fractals",
        "proxy": {"resolution": 16, "width": 0.15},
        "recipe": {"epochs": 4, "images": 4000},
    }
    assert caption({"space": space}, "test", pd.Series([3, 3]), errors=True) == (
        "Test accuracy of short proxy trainings on fractals (4,000 images, 4 epochs, base at 16 px, "
        "width x 0.15); mean and standard error of 3 seeds."
    )
    space["proxy"] = {"resolution": 16, "width": None, "flops": "2M", "depth": 0.5}
    assert "thinned to 2M FLOPs, depth x 0.5)" in caption({"space": space}, "test", pd.Series([3, 3]))
    assert caption({}, "validation", pd.Series([1, 1])).endswith("trainings; one seed.")


def test_a_caption_says_what_was_trained_not_what_was_asked_for(tmp_path: Path) -> None:
    space = {
        "data": "digits",
        "proxy": {"resolution": 8, "flops": "1.2M", "depth": 0.5},
        "recipe": {"epochs": 4, "images": 5000, "batch_size": 32},
    }
    run = Run(tmp_path, "scale", {"space": space})
    row = {"network": "base", "base": "resnet-20", "policy": "own", "phi": 0, "flops": 40_000_000}
    more = {"accuracy": 0.5, "seeds": 1, "proxy_flops": 2_220_000, "proxy_ratio": 2.0, "training": 0}
    run.write_csv("curve.csv", curve_frame([row | more]), {})
    rows = ["candidate,seed_index,rung,epochs,images,accuracy,state", "0,0,0,4,4480,0.5,complete"]
    run.write_text("trials.csv", "\n".join([*rows, ""]))
    native = base("resnet-20")  # nine blocks, of which a proxy keeps eight
    run.write_text("networks/base.yaml", write(native))
    proxy = scale(native, Multipliers(depth=8 / 9), Rounding())
    run.write_text("networks/base-proxy.yaml", write(proxy))
    said = caption(run.configuration, "test", pd.Series([1]), found=trained_proxy(run))
    assert "(1,120 images, 4 epochs, base at 8 px, thinned to 1.11M FLOPs, depth x 0.89)" in said
    facts = dict(proxy_facts(run, trained_proxy(run)))
    assert facts["images"] == "1,120 in training, 4 epochs"
    assert facts["made thin to"] == "1.11M FLOPs, depth x 0.89, channels in steps of 1"


def test_a_scaling_without_its_base_says_the_depth_of_its_proxies(tmp_path: Path) -> None:
    space = read_space("smoke").override(base="resnet-20")
    run = Run(tmp_path, "scale", {"space": space.model_dump(mode="json")})
    row = {"network": "own-phi-1", "base": "resnet-20", "policy": "own", "phi": 1, "flops": 80_000_000}
    run.write_csv("curve.csv", curve_frame([row | {"accuracy": 0.5, "seeds": 1}]), {})
    assert trained_proxy(run).depth == pytest.approx(8 / 9)  # of nine blocks a proxy keeps eight


def test_the_longest_names_fit_beside_their_lines() -> None:
    figure = draw_history(
        STOPPED_EARLY, {0: "resolution-only", 1: "1-1-1", 2: "depth-only"}, "caption", best_set=(0,)
    )
    (box,) = [box for text, box in texts(figure) if text == "resolution-only"]
    assert box.x1 < figure.bbox.x1


BEST = Shares(0.1, 0.3, 0.6)


def believed() -> LawSummary:
    """A law that likes one direction best, and the less the further away."""

    def worth(shares: Shares) -> float:
        pairs = zip(astuple(shares), astuple(BEST), strict=True)
        return -0.02 * float(sum((one - other) ** 2 for one, other in pairs))

    return a_law(
        surface=tuple(Worth(shares, worth(shares)) for shares in lattice(20)),
        path=(Waypoint(16.0, BEST, (0.0, 0.1, 0.4), (0.3, 0.5, 0.8), 0.0),),
    )


def test_the_map_shows_what_the_law_believes_and_where_the_best_is() -> None:
    figure = draw_triangle(a_triangle(), STOPPED_EARLY, "caption " * 30, best_set=(0, 1), law=believed())
    words = texts(figure)
    assert overlaps(words) == []
    ternary: Any = figure.axes[0]
    assert {"all to depth", "all to width", "all to resolution"} <= {text for text, _ in words}
    filled, line = (c for c in figure.axes[0].collections if isinstance(c, TriContourSet))
    assert np.asarray(filled.levels)[-1] == 0
    # Depth is the height in the triangle, whose sides are mpltern's unit: the line reaches from 0 to 0.3.
    height = np.vstack([np.asarray(path.vertices) for path in line.get_paths()])[:, 1]
    corners = np.asarray(ternary.transProjection.transform([(1, 0, 0), (0, 1, 0)]))
    depth = (height - corners[1, 1]) / (corners[0, 1] - corners[1, 1])
    assert depth.min() == pytest.approx(0.0, abs=0.01)
    assert depth.max() == pytest.approx(0.3, abs=0.01)


def test_every_gain_has_its_interval_at_every_size() -> None:
    gains = [
        Gain(axis, size, 0.01 * k, 0.01 * k - 0.004, 0.01 * k + 0.006)
        for size in (1.0, 16.0)
        for k, axis in enumerate(("depth", "width", "resolution"))
    ]
    figure = draw_doublings(gains, "effnet-b0", "caption")
    assert overlaps(texts(figure)) == []
    containers: Any = figure.axes[0].containers
    for place, drawn in enumerate(containers):
        np.testing.assert_allclose(np.asarray(drawn.lines[0].get_ydata(), float), [place, place])
        bars = drawn.lines[2][0].get_segments()
        np.testing.assert_allclose(bars[0][:, 1], [place - 0.4, place + 0.6])


def test_sizes_of_who_shrinks_stand_side_by_side() -> None:
    sizes = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16)
    gains = [Gain(axis, size, 0.01, 0.0, 0.02) for size in sizes for axis in ("depth", "width", "resolution")]
    figure = draw_doublings(gains, "resnet-20", "caption")
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels][-1] == "1/16 of it"
    assert overlaps([(label.get_text(), label.get_window_extent()) for label in labels]) == []


@pytest.mark.parametrize(("budget", "steps"), [(1.95535, 4), (1.2, 15)])
def test_sizes_of_any_budget_stand_side_by_side(budget: float, steps: int) -> None:
    sizes = [budget**step for step in range(steps + 1)]
    gains = [Gain(axis, size, 0.01, 0.0, 0.02) for size in sizes for axis in ("depth", "width", "resolution")]
    figure = draw_doublings(gains, "resnet-20", "caption")
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert {1.95535: "1.96x the base", 1.2: "2.07x the base"}[budget] == labels[1].get_text()
    assert overlaps([(label.get_text(), label.get_window_extent()) for label in labels]) == []


def test_every_phi_is_named_where_networks_shrink() -> None:
    curve = a_curve()
    curve["flops"] = (1e9 / curve["flops"].astype(float) * 1e9).round()
    found = {text.get_text() for text in draw_curve(curve, "caption").axes[0].texts}
    assert {f"φ = {phi:g}" for phi in curve["phi"].unique()} <= found


@pytest.mark.parametrize(("sign", "goes"), [(1, "grows"), (-1, "shrinks")])
def test_the_curves_title_says_which_way_it_goes(sign: int, goes: str) -> None:
    curve = a_curve()
    curve["phi"] *= sign
    words = [word for word, _ in texts(draw_curve(curve, "caption"))]
    assert [word for word in words if word.startswith("Accuracy of")] == [
        f"Accuracy of effnet-b0 as it {goes}"
    ]


def test_a_curve_of_coefficients_below_one_shrinks() -> None:
    curve = a_curve()
    curve["gamma"] = 0.7
    assert goes(curve) == "shrinks"
    assert "Accuracy of effnet-b0 as it shrinks" in [w for w, _ in texts(draw_curve(curve, "caption"))]
    curve["phi"] *= -1
    assert goes(curve) == "grows"


def test_stages_cost_what_the_network_costs() -> None:
    spec = base("effnet-b0")
    found = stage_flops(spec)
    assert list(found) == ["stem", *(f"stage {n}" for n in range(1, 8)), "head"]
    assert sum(found.values()) == 401659392  # fvcore's count
    larger = scale(spec, Multipliers(1.2, 1.1, 1.15), Rounding())
    figure = draw_stages({"base": spec, "compound-phi-1": larger})
    assert overlaps(texts(figure)) == []
    first, second = figure.axes[0].containers
    for bars in (first, second):
        assert sum(bar.get_height() for bar in bars) == pytest.approx(100)
    assert first[0].get_height() == pytest.approx(100 * found["stem"] / 401659392)
