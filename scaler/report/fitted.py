"""Tables for terminals of any width: a column that does not fit continues below; no cell is ever cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from scaler.words import printable

#: A column of sentences is no narrower than this, if the terminal allows it.
_LEAST = 24


@dataclass(frozen=True)
class Cells:
    """A column of a table.

    Attributes:
        heading: its title.
        cells: one per row.
        right: numbers stand to the right.
        folds: sentences, which break into lines.
    """

    heading: str
    cells: tuple[str, ...]
    right: bool = False
    folds: bool = False

    @property
    def width(self) -> int:
        """Of the widest cell, on one line."""
        return max(cell_len(text) for text in (self.heading, *self.cells))


class Fitted:
    """A table that shows all of its columns at any width.

    Columns that do not fit beside the others follow in a second part, which begins with the first column
    again, as the names of the rows.
    """

    def __init__(
        self, columns: Sequence[Cells], styles: Sequence[str] = (), title: str | None = None, gap: int = 1
    ) -> None:
        self.columns = [
            Cells(printable(c.heading), tuple(map(printable, c.cells)), c.right, c.folds) for c in columns
        ]
        self._styles, self._title, self._gap = styles, title, gap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, part in enumerate(self.parts(options.max_width)):
            if number:
                yield Text("")
            yield self._table(part, self._title if number == 0 else None)

    def parts(self, width: int) -> list[list[tuple[Cells, int]]]:
        """The columns that stand beside one another, each with its width; all parts begin with the first."""
        if not self.columns:
            return []
        names, *rest = self.columns
        widest = max((c.width for c in rest if not c.folds), default=0)
        # Names break into lines only where they and a number would not fit side by side.
        first = (names, min(names.width, max(width - widest - self._gap, 8)))
        parts, left = [[first]], width - first[1]
        for column in rest:
            needed = min(column.width, _LEAST) if column.folds else column.width
            if needed + self._gap > left and len(parts[-1]) > 1:
                parts.append([first])
                left = width - first[1]
            given = min(column.width, max(left - self._gap, 1)) if column.folds else column.width
            parts[-1].append((column, given))
            left -= given + self._gap
        return parts

    def _table(self, part: Sequence[tuple[Cells, int]], title: str | None) -> Table:
        made = Table(
            title=title, title_justify="left", box=None, pad_edge=False, padding=(0, self._gap, 0, 0)
        )
        for column, width in part:
            whole = width >= column.width
            made.add_column(
                Text(column.heading),
                justify="right" if column.right else "left",
                no_wrap=whole,
                overflow="fold",
                min_width=width,
                max_width=width,
            )
        for row, cells in enumerate(_rows(column for column, _ in part)):
            made.add_row(*map(Text, cells), style=self._styles[row] if self._styles else None)
        return made


def _rows(columns: Iterable[Cells]) -> Iterable[tuple[str, ...]]:
    return zip(*(column.cells for column in columns), strict=True)
