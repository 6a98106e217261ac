"""Options that commands share, from what a person writes to what the house takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scaler.api.checks import check_numbers
from scaler.errors import UserError
from scaler.scaling.budget import parse_count, parse_seconds

if TYPE_CHECKING:
    from scaler.execution.executors.engine import Engine
    from scaler.search.workload import Settings

#: The space that is searched where nobody names one.
DEFAULT_SPACE = "quick"

#: An amount as ``8M`` or as a number.
Amount = str | float | None


def settings_of(
    *,
    data_root: str | Path | None,
    skip_unreadable: bool,
    seed: int,
    seeds: int | None,
    device: str,
    workers: int | None,
    time_budget: str | float | None,
    engine: str,
    ray_address: str | None,
    gpus_per_training: float | None,
    checkpoints: str | None,
) -> Settings:
    """What a user sets beside the search space.

    Raises:
        UserError: a value is none.
    """
    from scaler.search.workload import Settings

    check_numbers(seed=seed, seeds=seeds, workers=workers)
    root = None if data_root is None else Path(data_root)
    where = _engine(engine, ray_address, gpus_per_training, checkpoints)
    return Settings(root, skip_unreadable, seed, device, workers, _seconds(time_budget), where)


def _seconds(time: str | float | None) -> float | None:
    if time is None:
        return None
    try:
        return parse_seconds(time if isinstance(time, str) else f"{time:f}")
    except UserError as error:
        raise UserError(f"--time-budget: {error}") from error


def _engine(
    name: str, ray_address: str | None, gpus_per_training: float | None, checkpoints: str | None
) -> Engine:
    from scaler.execution.executors.engine import Engine

    known: tuple[Literal["local"], Literal["ray"]] = ("local", "ray")
    for engine in known:
        if engine == name:
            return Engine(engine, ray_address, gpus_per_training, checkpoints)
    raise UserError(f"--engine {name!r} is no engine: write local or ray")


def count(amount: Amount) -> float | None:
    """A number of ``8M`` or ``8e6``; None stays None.

    Raises:
        UserError: it is no count.
    """
    return parse_count(None if amount is None else str(amount))


def listed(values: str | float | Sequence[str | float]) -> str:
    """Values as the command line takes them, with commas between; one of a sequence stays one."""
    if isinstance(values, str | int | float | Real):
        return str(values)
    texts = [str(value) for value in values]
    return ",".join([*texts, *texts[-1:]])


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep the leader's small matrices on one thread; more would only keep trainings from the cores.

    The command line says so before numpy is loaded (``OPENBLAS_NUM_THREADS``); Python has loaded it long
    before it searches.
    """
    # Both bring a BLAS of their own, which is not there to be limited before it is loaded.
    import numpy.linalg
    import scipy.linalg
    from threadpoolctl import threadpool_limits

    assert numpy.linalg
    assert scipy.linalg
    with threadpool_limits(limits=1, user_api="blas"):
        yield
