"""What commands print: results on stdout, everything else on stderr; in a notebook, all under its cell."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from scaler.files import plain
from scaler.words import printable

if TYPE_CHECKING:  # rich takes half as long to import as the help takes to stand there
    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from scaler.report.fitted import Fitted

#: Columns when nothing says how wide the paper is (a pipe, a file): tables keep to one line per row.
_WIDTH_OF_A_PIPE = 160

#: Columns of a notebook's cell.
_WIDTH_OF_A_CELL = 110

#: Adds steps to a progress bar; an optional second argument replaces its text.
Advance = Callable[..., None]


@dataclass(frozen=True)
class Output:
    """Where a command's words go.

    Attributes:
        json: the result is printed as JSON, alone on stdout.
        quiet: no notes and no progress.
    """

    json: bool = False
    quiet: bool = False

    def result(self, data: Any, *shown: RenderableType) -> None:
        """The command's result: ``data`` as one line of JSON, or what is shown to people."""
        if self.json:
            print(json.dumps(plain(data), allow_nan=False))
            return
        for renderable in shown:
            text = printable(renderable) if isinstance(renderable, str) else renderable
            # A sentence or a path on a pipe keeps to one line, as programs read it.
            whole = isinstance(text, str) and not self.console.is_terminal
            self.console.print(text, markup=False, soft_wrap=whole)

    def text(self, data: Any, text: str) -> None:
        """A result that people may keep in a file: printed exactly as it is."""
        if self.json:
            self.result(data)
        else:
            print(text)

    @property
    def console(self) -> Console:
        """Where results for people go: stdout, or stderr beside JSON."""
        return _console(sys.stderr if self.json else sys.stdout)

    def note(self, sentence: str) -> None:
        """What a user may want to know; on stderr, unless quiet."""
        if not self.quiet:
            _console(sys.stderr).print(printable(sentence), markup=False, soft_wrap=True)

    def warn(self, sentence: str) -> None:
        """What a user must know; on stderr, always."""
        _console(sys.stderr).print(printable(f"Warning: {sentence}"), markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, text: str, total: float) -> Iterator[Advance]:
        """A bar with the time left, on stderr, where that is a terminal; call it with the steps done."""
        with self._bar() as bar:
            task = bar.add_task(text, total=total)

            def advance(steps: float = 1, text: str | None = None) -> None:
                bar.update(task, advance=steps, description=text, refresh=True)

            yield advance

    @contextmanager
    def tracking(self, text: str, total: float) -> Iterator[Callable[[float, float], None]]:
        """The same bar for work whose length may change; call it with what is done and the total."""
        with self._bar() as bar, _stdout_to_stderr():
            task = bar.add_task(text, total=total)
            yield lambda done, total: bar.update(task, completed=done, total=total, refresh=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """A sign of life on stderr during work of unknown length, where that is a terminal."""
        console = _console(sys.stderr)
        status = console.status(text) if console.is_terminal and not self.quiet else nullcontext()
        if _in_notebook():  # where nothing turns
            self.note(f"{text} ...")
        with status, _stdout_to_stderr():
            yield

    def _bar(self) -> Progress:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from scaler.report.notebook_progress import NotebookProgress

        console = _console(sys.stderr)
        shown = not self.quiet and (console.is_terminal or _in_notebook())
        return (NotebookProgress if _in_notebook() else Progress)(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not shown,
        )


def table(
    columns: Mapping[str, str], rows: Iterable[Iterable[object]], title: str | None = None, fold: str = ""
) -> Fitted:
    """A table of ``columns`` (heading -> ``left`` or ``right``); cells are printed as they are.

    Only the column named ``fold`` breaks its text into lines where the terminal is narrow.
    """
    from scaler.report.fitted import Cells, Fitted

    cells = list(zip(*(map(str, row) for row in rows), strict=True)) or [() for _ in columns]
    made = [
        Cells(heading, tuple(found), right=justify == "right", folds=heading == fold)
        for (heading, justify), found in zip(columns.items(), cells, strict=True)
    ]
    return Fitted(made, title=title, gap=2)


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What is printed meanwhile, by a user's own network or by new processes, goes to stderr."""
    if _in_notebook():  # where nobody reads JSON from stdout
        yield
        return
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # it is closed
        kept = None
    try:
        if kept is not None:
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    from rich.console import Console

    return Console().is_jupyter


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    if _in_notebook():
        # Streams of one kind stand together under a cell; stderr would be a red box.
        return Console(
            file=sys.stdout, highlight=False, emoji=False, width=_WIDTH_OF_A_CELL, force_jupyter=False,
            force_terminal=False, color_system=None,
        )  # fmt: skip
    wide = None if stream.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_A_PIPE
    return Console(file=stream, highlight=False, emoji=False, width=wide)
