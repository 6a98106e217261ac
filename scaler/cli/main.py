"""The program ``scaler``: its commands, and how failures end.

All command modules are read at every start, also for ``--help`` and completion: they import torch and
other heavy libraries inside their functions only.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import typer

from scaler.cli.bases import bases
from scaler.cli.data import data
from scaler.cli.export import export
from scaler.cli.inspect import inspect
from scaler.cli.pareto import pareto
from scaler.cli.plot import plot
from scaler.cli.profile import profile
from scaler.cli.replay import replay
from scaler.cli.report import report
from scaler.cli.scale import scale
from scaler.cli.search import search
from scaler.cli.spaces import spaces
from scaler.errors import MachineError, UserError

app = typer.Typer(
    name="scaler",
    help="Find by experiment how a convolutional network should grow: depth, width, resolution or all.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _program() -> None:
    """Keep ``scaler COMMAND`` even where one command alone is registered."""


for command in (search, scale, pareto, plot, report, export, profile, replay, bases, spaces, data):
    app.command()(command)
app.add_typer(inspect)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    Args:
        arguments: without the program's name; None takes the process's own.

    Raises:
        SystemExit: always, but for errors that are defects of Scaler: these keep their traceback.
    """
    # Scaler's own matrices are small: more threads for them would only keep trainings from the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app(list(arguments) if arguments is not None else None, prog_name="scaler")
    except UserError as error:
        _end(f"Error: {error}", 2)
    except MachineError as error:
        _end(f"Error: {error}", 1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        _end(f"Error: the disk is full{where}; free some space and run the same command again", 1)
    except KeyboardInterrupt:
        _end("Interrupted", 130)
    except SystemExit as end:
        if end.code == 130:
            _end("Interrupted", 130)
        raise


def _end(sentence: str, code: int) -> None:
    print(sentence, file=sys.stderr)
    sys.exit(code)
