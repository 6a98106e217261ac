"""What is said: the numbers in the sentences are those of what was found, and limits are told."""

import numpy as np
import pytest

from scaler.errors import UserError
from scaler.inspect.dropping import Loss
from scaler.inspect.excitation import BlockView
from scaler.inspect.focus import focus
from scaler.inspect.reuse import DenseBlock
from scaler.report.inside.sentences import dropped_line, excitation_lines, focus_lines, reuse_lines
from scaler.report.inside.tables import FOCUS_COLUMNS, focus_frame
from scaler.report.inside.view import classes_shown
from scaler.report.pareto.formats import cells


def block(place: tuple[int, int], mean: float, variation: float, share: float) -> BlockView:
    return BlockView(place, 8, mean, variation, 0.1, share, params=100)


def test_candidates_to_drop_are_named_with_what_they_save() -> None:
    views = [block((0, 0), 0.8, 0.01, 0.0), block((1, 0), 0.5, 0.01, 0.2), block((1, 1), 0.6, 0.3, 0.6)]
    text = " ".join(excitation_lines(views, 1300, 0.05))
    assert "Near identity, up to a constant per channel: 0.0, 1.0 " in text
    assert "saves 200 parameters, 15.4 % of the network" in text  # 200 / 1300
    assert "300 of 1.3K parameters" in text.replace("1.30K", "1.3K")
    assert "30.0 % more than without" in text  # 300 / 1000
    assert "Without those of the last stage (1) it is 10.0 % more" in text
    assert "most in 1.1 (60 %)" in text
    # One of the two is where it started; the other has learnt its constant.
    assert "1 of these have a mean of about 0.5" in text


def test_no_candidate_is_said_to_be_none() -> None:
    lines = list(excitation_lines([block((0, 0), 0.5, 0.3, 0.1)], 1000, 0.05))
    assert lines[-1] == "No block varies by less than 5 %: none is a candidate to drop."


def test_what_dropping_cost_has_its_sign_and_error() -> None:
    line = dropped_line(Loss((0.50, 0.60), (0.48, 0.59)), [(3, 0), (3, 1)], 1234)
    assert "without the excitations of 3.0, 3.1 (1,234 parameters less" in line
    assert "53.5 % of validation images right against 55.0 % with all, -1.5 ± 0.5 points (2 seeds)" in line


@pytest.mark.parametrize(
    ("lead", "single", "words"),
    [
        (0.1, "", 'here "compound scaling focuses on more relevant regions'),
        (-0.1, "", "does not hold"),
        (0.0, "", "cannot be told here"),
        (0.1, "width", "cannot be seen here: compound grew in width alone"),
    ],
)
def test_the_claim_is_judged_or_said_to_be_out_of_reach(lead: float, single: str, words: str) -> None:
    generator = np.random.default_rng(0)
    image = generator.uniform(0.3, 0.6, 200)
    shares = {"base": image, "compound": image + lead + 0.02 * generator.standard_normal(200)}
    found = focus(shares, np.full(200, 0.25), "compound")
    lines = list(focus_lines(found, single))
    assert "On 200 images the object covers 25.0 % of the image" in lines[0]
    assert words in lines[1]


def test_classes_are_asked_for_by_names_that_may_hold_commas() -> None:
    classes = ("cat", "tench, Tinca tinca", "dog")
    assert classes_shown("dog, tench, Tinca tinca,cat", classes) == {
        "dog": 2,
        "tench, Tinca tinca": 1,
        "cat": 0,
    }
    with pytest.raises(UserError, match="no class 'tench'"):
        classes_shown("cat,tench", classes)


def test_one_image_has_no_interval() -> None:
    found = focus({"base": np.array([0.2]), "compound": np.array([0.3])}, np.array([0.25]), "compound")
    first, second = focus_lines(found, "")
    assert first.startswith("On 1 image the object covers")
    assert "differs by +10.0 against base (points" in second
    assert "cannot be told here" in second
    _, shown = cells(focus_frame(found), FOCUS_COLUMNS)
    assert shown == [["base", "20.0", "+10.0"], ["compound", "30.0", ""]]


def test_no_image_that_counts_is_said_to_be_none() -> None:
    found = focus({"base": np.array([np.nan]), "compound": np.array([0.3])}, np.array([0.25]), "compound")
    assert list(focus_lines(found, "")) == [
        "No image with an object has positive mass in the maps of all networks: nothing is compared."
    ]


def test_the_share_of_the_last_layers_stands_beside_an_even_one() -> None:
    weights = np.array([[1.0, np.nan], [1.0, 3.0]])
    (line,) = reuse_lines([DenseBlock(1, "classifier", weights)], 1)
    assert (
        "gives 75 % of its mean absolute weight to the last 1 of 2 sources; evenly it would be 50 %" in line
    )
