"""A view of networks as a person gets it: pictures, tables and sentences, put together from the analysis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaler.cost.network_cost import cost
from scaler.data.dataset import DataSet
from scaler.errors import UserError
from scaler.files import csv_text, plain, reported, write_bytes
from scaler.inspect.dropping import Loss
from scaler.inspect.excitation import BlockView, Excitations, Place, counterparts, saved
from scaler.inspect.focus import on_object
from scaler.inspect.images import Images, disagreements
from scaler.inspect.looks import Look, compare_focus, single_dimension
from scaler.inspect.objects import Masks
from scaler.inspect.reuse import DenseBlock
from scaler.inspect.subjects import Subject
from scaler.networks.spec import NetworkSpec
from scaler.report.columns import Column
from scaler.report.inside import sentences, tables
from scaler.report.inside.cam_picture import draw_focus, draw_maps
from scaler.report.inside.excitation_picture import draw_excitations
from scaler.report.inside.reuse_picture import draw_reuse
from scaler.report.pictures.style import Format, rendered
from scaler.report.tables import records

#: Classes that get a line in the picture of excitations without --show.
_CLASSES_SHOWN = 4

_HEADINGS = {
    "cam": "where each network looks",
    "excitation": "what the excitations do",
    "reuse": "which layers are read again",
}


@dataclass(frozen=True)
class Shown:
    """A table with how its numbers are written, and its columns in the terminal, if it is printed there."""

    frame: pd.DataFrame
    formats: Mapping[str, str]
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class View:
    """Everything that one look inside gives.

    Attributes:
        name: of the view, and of its file in the run.
        heading: in a page.
        figures: by file name.
        tables: by file name.
        lines: sentences.
        facts: numbers for machines beside the tables.
    """

    name: str
    heading: str
    figures: Mapping[str, Figure]
    tables: Mapping[str, Shown]
    lines: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, form: Format) -> list[str]:
        """Write pictures, tables, and what the page of a run needs (``NAME.json``); gives the paths.

        Raises:
            UserError: the folder cannot be written.
            MachineError: the disk is full.
        """
        with reported(folder, "--output"):
            folder.mkdir(parents=True, exist_ok=True)
        pictures = [(f"{name}.{form}", rendered(figure, form)) for name, figure in self.figures.items()]
        numbers = [
            (f"{name}.csv", csv_text(shown.frame, shown.formats).encode())
            for name, shown in self.tables.items()
        ]
        paged = {
            "heading": self.heading,
            "pictures": [name for name, _ in pictures],
            "lines": list(self.lines),
            **plain(self.facts),
        }
        text = json.dumps(paged, indent=2, allow_nan=False) + "\n"
        every = [*pictures, *numbers, (f"{self.name}.json", text.encode())]
        return [str(write_bytes(folder / name, content, "--output")) for name, content in every]

    def answer(self, leave_out: Sequence[str] = ()) -> dict[str, Any]:
        """What ``--json`` prints."""
        rows = {name: records(shown.frame) for name, shown in self.tables.items() if name not in leave_out}
        return {**self.facts, **{name.replace("-", "_"): content for name, content in rows.items()}}

    def with_more(self, other: View) -> View:
        """Both together."""
        return replace(
            self,
            figures={**self.figures, **other.figures},
            tables={**self.tables, **other.tables},
            lines=[*self.lines, *other.lines],
            facts={**self.facts, **other.facts},
        )


# --- class activation maps -------------------------------------------------------------------------------


def cam_view(
    looks: Sequence[Look],
    images: Images,
    data: DataSet | None,
    trained: str,
    masks: Masks | None = None,
    measured: Sequence[Look] = (),
    measured_masks: Masks | None = None,
    grown_from: NetworkSpec | None = None,
) -> View:
    """Maps side by side, and how much of them lies on the object.

    Args:
        looks: at the images that are drawn.
        images: those.
        data: that they are of, if any.
        trained: how the networks were trained, in a sentence.
        masks: objects of these images, if known.
        measured: looks at the images on which the share is measured, with their objects.
        measured_masks: objects of those.
        grown_from: the base at its own size, where it may not be among the networks.
    """
    shares = {} if masks is None else {one.subject.name: on_object(one.maps, masks) for one in looks}
    classes = data.classes if data and len(data.classes) == looks[0].probabilities.shape[1] else ()
    caption = sentences.cam_caption(looks, _data_name(data), trained)
    figures = {"cam": draw_maps(looks, images, classes, caption)}
    shown = {"cam": Shown(tables.cam_frame(looks, images, classes, shares), tables.CAM_FORMATS)}
    if measured_masks is None:
        return View("cam", _HEADINGS["cam"], figures, shown)
    found = compare_focus(measured, measured_masks)
    single = single_dimension([one.subject for one in looks], found.chosen, grown_from)
    lines = list(sentences.focus_lines(found, single))
    figures["focus"] = draw_focus(found, f"{lines[0]} {trained}")
    shown["focus"] = Shown(tables.focus_frame(found), tables.FOCUS_FORMATS, tables.FOCUS_COLUMNS)
    return View(
        "cam", _HEADINGS["cam"], figures, shown, lines, {"area": found.area, "verdict": found.verdict}
    )


def disagreed(looks: Sequence[Look], images: Images, count: int) -> tuple[list[Look], NDArray[np.int64], str]:
    """Looks at those images on which networks disagree, their places, and the rule in a sentence."""
    places, dividing = disagreements(np.stack([one.predicted for one in looks]), images.labels, count)
    chosen = [
        replace(one, probabilities=one.probabilities[places], asked=one.asked[places], maps=one.maps[places])
        for one in looks
    ]
    return chosen, places, sentences.chosen_line(len(places), dividing, len(looks), len(images))


# --- excitations -----------------------------------------------------------------------------------------


def excitation_view(
    subject: Subject,
    blocks: Sequence[Excitations],
    views: Sequence[BlockView],
    labels: NDArray[np.int64],
    shown: Mapping[str, int],
    caption: str,
    threshold: float,
) -> View:
    """Excitations by block and class.

    Args:
        subject: the network.
        blocks, views: of :mod:`scaler.inspect.excitation`.
        labels: class of each image.
        shown: labels of the classes that get a line, by name.
        caption: of the picture.
        threshold: variation below which a block is near identity.
    """
    total = cost(subject.native).params
    figure = draw_excitations(blocks, views, labels, shown, caption, threshold)
    frame = tables.blocks_frame(views, total, threshold)
    return View(
        "excitation",
        _HEADINGS["excitation"],
        {"excitation": figure},
        {
            "excitation-blocks": Shown(frame, tables.BLOCK_FORMATS, tables.BLOCK_COLUMNS),
            "excitation-channels": Shown(
                tables.channels_frame(blocks, labels, shown), tables.CHANNEL_FORMATS
            ),
        },
        list(sentences.excitation_lines(views, total, threshold)),
        {"params": total},
    )


def classes_shown(asked: str | None, classes: Sequence[str]) -> dict[str, int]:
    """Labels of the classes that get a line.

    Raises:
        UserError: there is no such class.
    """
    if asked is None:
        count = min(_CLASSES_SHOWN, len(classes))
        return {
            classes[place * len(classes) // count]: place * len(classes) // count for place in range(count)
        }
    names = list(_names(asked.split(","), classes))
    if wrong := [name for name in names if name not in classes]:
        some = ", ".join(classes[:8])
        raise UserError(
            f"the data have no class {wrong[0]!r}; they have {some}{', ...' * (len(classes) > 8)}"
        )
    return {name: classes.index(name) for name in names}


def _names(parts: Sequence[str], classes: Sequence[str]) -> Iterator[str]:
    """The names in a list that was split at its commas, some of which may be within names of classes."""
    while parts:
        joined = {end: ",".join(parts[:end]).strip() for end in range(len(parts), 0, -1)}
        end = next((end for end, name in joined.items() if name in classes), 1)
        yield joined[end]
        parts = parts[end:]


def dropped_view(subject: Subject, places: Sequence[Place], loss: Loss) -> View:
    """What leaving out the excitations of some blocks saved and cost."""
    counted = counterparts(subject.network.spec, subject.native, places)
    less = saved(subject.native, [place for places in counted.values() for place in places])
    rows = pd.DataFrame({"seed_index": range(len(loss.whole)), "whole": loss.whole, "dropped": loss.dropped})
    return View(
        "excitation",
        _HEADINGS["excitation"],
        {},
        {"excitation-retrain": Shown(rows, {"whole": ".4f", "dropped": ".4f"})},
        [sentences.dropped_line(loss, places, less)],
        {"dropped": [f"{s}.{b}" for s, b in places], "params_saved": less, "accuracy_lost": loss.mean},
    )


# --- feature reuse ---------------------------------------------------------------------------------------


def reuse_view(blocks: Sequence[DenseBlock], name: str, trained: str, last: int) -> View:
    """The heat map of feature reuse.

    Args:
        blocks: of :func:`scaler.inspect.reuse.dense_blocks`.
        name: of the network.
        trained: how it was trained, in a sentence.
        last: sources that count as the last ones.
    """
    caption = (
        f"{name}: mean absolute weight that each layer has on the features of each earlier one, as a part "
        f"of the reader's largest. {trained}"
    )
    shares = [{"block": block.number, "share_of_last": block.share_of_last(last)} for block in blocks]
    return View(
        "reuse",
        _HEADINGS["reuse"],
        {"reuse": draw_reuse(blocks, caption)},
        {"reuse": Shown(tables.reuse_frame(blocks), tables.REUSE_FORMATS)},
        list(sentences.reuse_lines(blocks, last)),
        {"last": last, "shares": shares},
    )


def _data_name(data: DataSet | None) -> str:
    return Path(data.name.removeprefix("folder:")).name if data else ""
