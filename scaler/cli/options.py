"""Options with one meaning everywhere, each defined once. Defaults stand in the commands' signatures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scaler.api.checks import RANGES
from scaler.errors import UserError
from scaler.scaling.budget import parse_seconds

_MACHINE = "Machine"
_OUTPUT = "Output"


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``10m``, ``1.5h``, ``1h30m`` or ``2d``; a number alone is seconds.

    Raises:
        typer.BadParameter: the text is no duration.
    """
    try:
        return parse_seconds(text)
    except UserError as error:
        raise typer.BadParameter(str(error)) from error


def finite(value: float | None) -> float | None:
    """A number that an option was given, if it is one.

    Raises:
        typer.BadParameter: it is infinite, or not a number.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


def bounds(name: str) -> dict[str, Any]:
    """The least and the most of an option, as typer takes them."""
    allowed = RANGES[name]
    found = {"min": allowed.least, "max": allowed.most}
    return {side: bound for side, bound in found.items() if math.isfinite(bound)}


def refuse(context: typer.Context, why: str, *names: str) -> None:
    """Refuse options that would be ignored, if they stand on the command line.

    Raises:
        UserError: one does; the sentence begins with ``why``.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UserError(f"{why}, so --{name.replace('_', '-')} would be ignored: leave one of them out")


def refuse_others(context: typer.Context, why: str, names: Sequence[str]) -> None:
    """As :func:`refuse`, for all options but these."""
    refuse(context, why, *(name for name in context.params if name not in names))


def complete_base(incomplete: str) -> list[str]:
    """Names of base networks that begin so."""
    from scaler.networks.registry import bases

    return [name for name in bases() if name.startswith(incomplete)]


def complete_space(incomplete: str) -> list[str]:
    """Names of search spaces that begin so."""
    from scaler.search.spaces_directory import space_files

    return [name for name in space_files() if name.startswith(incomplete)]


def complete_data(incomplete: str) -> list[str]:
    """Names of data sets that begin so."""
    from scaler.data.registry import DATA

    names = [name.removesuffix("PATH") for name in DATA]
    return [name for name in names if name.startswith(incomplete)]


def complete_strategy(incomplete: str) -> list[str]:
    """Names of strategies that begin so."""
    from scaler.search.strategies.registry import STRATEGIES

    return [name for name in STRATEGIES if name.startswith(incomplete)]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Names of runs in the results that begin so."""
    results = Path(context.params.get("results") or "results")
    return sorted(file.parent.name for file in results.glob(f"{incomplete}*/run.yaml"))


def complete_picture(incomplete: str) -> list[str]:
    """Formats of pictures that begin so."""
    return [form for form in ("png", "svg") if form.startswith(incomplete)]


def complete_device(incomplete: str) -> list[str]:
    """Devices that begin so."""
    return [device for device in ("auto", "cpu", "cuda") if device.startswith(incomplete)]


Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="NAME|FILE|MODULE:FUNCTION",
        help="Base network: a name (`scaler bases` lists them), a YAML file, or a Python function.",
        autocompletion=complete_base,
    ),
]
Space = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="NAME|FILE",
        help="Search space: a name (`scaler spaces` lists them) or a YAML file.",
        autocompletion=complete_space,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME|folder:PATH",
        help="Data set: fractals, digits, cifar10, folder:PATH or ./PATH (`scaler data` lists them).",
        autocompletion=complete_data,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", metavar="DIR", help="Where data sets are, or are downloaded to; default: a cache."
    ),
]
Results = Annotated[
    Path,
    typer.Option(
        "--results", metavar="DIR", help="Directory of the run directories.", rich_help_panel=_OUTPUT
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name of the run; default: made from base, budget and time.",
        rich_help_panel=_OUTPUT,
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", **bounds("seed"), help="What all randomness derives from."),
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", metavar="N", **bounds("seeds"), help="Repetitions with different seeds."),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]",
        help="Where networks run.",
        rich_help_panel=_MACHINE,
        autocompletion=complete_device,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        **bounds("workers"),
        help="Trainings at the same time; default: one per core, or as many on each GPU as pay.",
        rich_help_panel=_MACHINE,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|ray",
        help="What runs the trainings: processes of this machine, or a Ray cluster (extra `ray`).",
        rich_help_panel=_MACHINE,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="auto|HOST:PORT",
        help="The Ray cluster to join; default: Ray is started on this machine.",
        rich_help_panel=_MACHINE,
    ),
]
GpusPerTraining = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-training",
        metavar="PART|N",
        callback=finite,
        help="0.25: four trainings share a GPU; 2: each training runs on two devices (processes, on a CPU). "
        "Default: one device, or as many trainings on a GPU as pay.",
        rich_help_panel=_MACHINE,
    ),
]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="URL",
        help="Where Ray nodes that do not see the results keep checkpoints, e.g. s3://bucket/folder; "
        "default: with the leader.",
        rich_help_panel=_MACHINE,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Database that keeps the study; default: a file in the run directory.",
        rich_help_panel=_MACHINE,
    ),
]
TimeBudget = Annotated[
    float | None,
    typer.Option(
        "--time-budget",
        metavar="TIME",
        parser=parse_duration,
        help="Fit the work into this time, e.g. 90s, 10m, 1.5h.",
        rich_help_panel=_MACHINE,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
Se = Annotated[
    float | None,
    typer.Option(
        "--se",
        metavar="RATIO",
        callback=finite,
        help="Add squeeze-and-excitation with this reduction, e.g. 16.",
    ),
]
SeSkipLastStage = Annotated[
    bool,
    typer.Option("--se-skip-last-stage", help="... but not in the last stage, where most weights would be."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON, alone on stdout.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Print the result only: no notes, no progress.", rich_help_panel=_OUTPUT),
]
