"""The page of some runs: answer, pictures, tables, the proxy with its limits, how to have it again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from scaler.curves.pareto import parse_objectives
from scaler.files import write_bytes
from scaler.report.columns import CURVE_COLUMNS, SCALING_COLUMNS, Column, Row, cost_columns
from scaler.report.inside.section import Section, sections
from scaler.report.page.answers import scale_answer, search_answer
from scaler.report.page.facts import command, limits, origin, proxy_facts
from scaler.report.page.svg import inline_svg
from scaler.report.pareto.table import pareto_table
from scaler.report.pictures.of_run import Drawn, pictures, save_pictures
from scaler.report.run_tables import CURVE, network_table
from scaler.report.tables import shown_columns
from scaler.report.trained_proxy import trained_proxy
from scaler.runs import Run

REPORT = "report.html"


@dataclass(frozen=True)
class Cell:
    """A cell: what people read, and by what it is sorted."""

    text: str
    value: str
    kind: str


@dataclass(frozen=True)
class TableRow:
    """A row; those on the front stand out."""

    cells: tuple[Cell, ...]
    front: bool


@dataclass(frozen=True)
class PageTable:
    """A table that a click on a header sorts."""

    heading: str
    columns: tuple[Mapping[str, str], ...]
    rows: tuple[TableRow, ...]
    note: str = ""


@dataclass(frozen=True)
class Part:
    """What a page says of one run."""

    heading: str
    answer: tuple[str, ...]
    pictures: tuple[Mapping[str, Markup], ...]
    tables: tuple[PageTable, ...]
    inside: tuple[Section, ...]
    proxy: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    command: str
    space: str
    origin: tuple[tuple[str, str], ...]


def write_report(run: Run) -> None:
    """The pictures and the page of a run that has ended, in its directory."""
    drawn = list(pictures(run))
    save_pictures(run, drawn=drawn)
    write_bytes(run.path / REPORT, page([run], [drawn]).encode(), "--results")


def write_page(runs: Sequence[Run], file: Path | None = None) -> Path:
    """Write the page of some runs as one file that needs no network; gives its path.

    Args:
        runs: scalings and searches, in the order of the page.
        file: where to; None is ``report.html`` of the first run.

    Raises:
        UserError: a run has no tables, or the place cannot be written.
    """
    option = "--results" if file is None else "--output"
    return write_bytes(file or runs[0].path / REPORT, page(runs).encode(), option)


def page(runs: Sequence[Run], drawn: Sequence[Drawn] | None = None) -> str:
    """The page's HTML; ``drawn`` are the pictures of each run, if they are there already."""
    figures = [list(pictures(run)) for run in runs] if drawn is None else drawn
    networks = [network_table(run) for run in runs]
    parts = [_part(*each) for each in zip(runs, networks, figures, strict=True)]
    bases = ", ".join(dict.fromkeys(str(one) for table in networks for one in table["base"].dropna()))
    tables = (_front_table(runs),) if len(runs) > 1 else ()
    return rendered(
        "page.html",
        title=f"How {bases} should grow",
        subtitle=" and ".join(part.heading for part in parts),
        parts=parts,
        together=tables,
    )


def rendered(template: str, **values: object) -> str:
    """A template of this folder, filled in."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


def _part(run: Run, networks: pd.DataFrame, drawn: Drawn) -> Part:
    scaling = (run.path / CURVE).is_file()
    space, found = run.configuration.get("space") or {}, trained_proxy(run)
    shown = [{"svg": Markup(inline_svg(figure, f"{run.name} {name}"))} for name, figure in drawn]
    return Part(
        heading=f"{'Scaling' if scaling else 'Search'} {run.name}",
        answer=tuple(scale_answer(run) if scaling else search_answer(run)),
        pictures=tuple(shown),
        tables=tuple(curve_tables(networks) if scaling else search_tables(networks)),
        inside=sections(run),
        proxy=tuple(proxy_facts(run, found)),
        limits=tuple(limits(run, networks["seeds"], found, scaling=scaling)),
        command=command(run, scaling=scaling),
        space=yaml.safe_dump(dict(space), sort_keys=False, allow_unicode=True) if space else "",
        origin=tuple(origin(run)),
    )


def curve_tables(curve: pd.DataFrame) -> Iterator[PageTable]:
    """The networks of a scaling, from its ``curve.csv``."""
    yield page_table(
        "The networks",
        curve,
        (*CURVE_COLUMNS, *SCALING_COLUMNS, *cost_columns(curve)),
        "Bold: on the front, for no cheaper network is significantly more accurate. Click a header to sort.",
    )


def search_tables(table: pd.DataFrame) -> Iterator[PageTable]:
    """The candidates of a search that were trained, the most accurate first, from its network table."""
    epochs = Column("epochs", "epochs", int, lambda row: "" if pd.isna(row["epochs"]) else f"{row['epochs']}")
    named = Column("network", "candidate", str, lambda row: str(row["network"]))
    rest = [c for c in CURVE_COLUMNS if c.name not in ("network", "policy", "phi", "on_front")]
    yield page_table(
        "The candidates",
        table.sort_values("accuracy", ascending=False),
        (named, *rest, epochs),
        "Accuracy on validation images after a candidate's longest training. Click a header to sort.",
    )


def _front_table(runs: Sequence[Run]) -> PageTable:
    table = pareto_table(runs, parse_objectives("accuracy,flops"))
    return page_table("All networks together", table.frame, table.columns, " ".join(table.notes))


def page_table(heading: str, frame: pd.DataFrame, columns: Sequence[Column], note: str = "") -> PageTable:
    """A table of what people read of a frame; every cell knows its number."""
    shown = shown_columns(frame, columns)
    rows = cast("list[dict[str, Any]]", frame.to_dict("records"))
    return PageTable(
        heading,
        tuple({"title": column.title, "kind": _kind(column)} for column in shown),
        tuple(
            TableRow(tuple(_cell(row, column) for column in shown), row.get("on_front") is True)
            for row in rows
        ),
        note,
    )


def _kind(column: Column) -> str:
    return "text" if column.kind is str else "number"


def _cell(row: Row, column: Column) -> Cell:
    value = row[column.name]
    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    text = column.show(row) if column.show else ""
    return Cell(text, "" if missing else str(int(value) if isinstance(value, bool) else value), _kind(column))
