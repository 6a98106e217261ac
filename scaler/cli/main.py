"""The program ``scaler``: its commands, and how failures end.

All command modules are read at every start, also for ``--help`` and completion: they import torch and
other heavy libraries inside their functions only.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from scaler.cli.export import export
from scaler.cli.inspect import inspect
from scaler.cli.lists import bases, data, runs, spaces
from scaler.cli.pareto import pareto
from scaler.cli.profile import profile
from scaler.cli.replay import replay
from scaler.cli.report import plot, report
from scaler.cli.scale import scale
from scaler.cli.search import search
from scaler.errors import MachineError, PassedOverWarning, UserError
from scaler.version import __version__
from scaler.words import one_line

#: What typer raises for a wrong command line; it has no public name for it.
_WrongUse: type[Exception] = typer.BadParameter.__bases__[0]


class _Program(typer.core.TyperGroup):
    """Its help is plain text: rich would double the time until it stands there."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(made)) for name, made in self.commands.items()])


def _first_sentence(command: Any) -> str:
    """What the list of commands says of one, never cut short."""
    return str(command.help).partition("\n\n")[0].replace("\n", " ")


app = typer.Typer(
    name="scaler",
    cls=_Program,
    help="Find by experiment how a convolutional network should grow: depth, width, resolution or all.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"scaler {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Keep ``scaler COMMAND`` even where one command alone is registered."""


for command in (search, scale, pareto, plot, report, export, profile, replay, runs, bases, spaces, data):
    app.command()(command)
app.add_typer(inspect)


#: Exit code after Ctrl-C, by the shells' custom.
INTERRUPTED = 130


@cache
def _commands(program: typer.Typer) -> Any:
    """Its commands as click has them, made once: that takes a tenth of a second."""
    return typer.main.get_command(program)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    Args:
        arguments: without the program's name; None takes the process's own.

    Raises:
        SystemExit: always, but for errors that are defects of Scaler: these keep their traceback.
    """
    # Scaler's own matrices are small: more threads for them would only keep trainings from the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("default", PassedOverWarning)
        warnings.showwarning = partial(_show_warning, warnings.showwarning)
        sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    """Run a command line; its exit code."""
    try:
        ended = _commands(app)(
            list(arguments) if arguments is not None else None, prog_name="scaler", standalone_mode=False
        )
        sys.stdout.flush()
        if ended == INTERRUPTED:
            return _end("Interrupted", INTERRUPTED)
        return ended if isinstance(ended, int) else 0
    except _WrongUse as error:
        return _wrong_use(error)
    except UserError as error:
        return _end(f"Error: {error}", 2)
    except MachineError as error:
        return _end(f"Error: {error}", 1)
    except BrokenPipeError:
        # Who read the output has seen enough; nothing more can be printed, also not at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        return _end(f"Error: the disk is full{where}; free some space and run the same command again", 1)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        return _end("Error: the memory of this machine is full; take smaller batches, images or networks", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _end("Interrupted", INTERRUPTED)


def _out_of_memory(error: BaseException) -> bool:
    """Torch has words of its own for it."""
    return (
        isinstance(error, MemoryError) or "not enough memory" in str(error) or "out of memory" in str(error)
    )


def _wrong_use(error: Exception) -> int:
    """A wrong command line, in one sentence."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "scaler"
    message = getattr(error, "format_message", error.__str__)()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
        print(message)
        return 2
    return _end(f"Error: {message.rstrip('.')}; see `{command} --help`", 2)


def _show_warning(
    usual: Callable[..., None], message: Warning | str, kind: type[Warning], *where: Any
) -> None:
    """What was passed over, in one line; other warnings as usual."""
    if issubclass(kind, PassedOverWarning):
        print(one_line(f"Warning: {message}"), file=sys.stderr)
    else:
        usual(message, kind, *where)


def _end(sentence: str, code: int) -> int:
    print(one_line(sentence), file=sys.stderr)
    return code
