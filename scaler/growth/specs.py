"""The networks of a finished run at their own size, from its files."""

from __future__ import annotations

from collections.abc import Sequence

from scaler.errors import UserError
from scaler.networks.spec import NetworkSpec
from scaler.networks.spec_files import read
from scaler.runs import Run
from scaler.search.candidates.proxy_base import bases
from scaler.search.result import read_result

FOLDER = "networks"


def native_specs(run: Run, names: Sequence[str]) -> list[NetworkSpec]:
    """The networks of these names: a scaling's lie in its folder, a search's follow from its answer.

    Raises:
        UserError: the run does not hold one of them.
    """
    if run.kind == "scale":
        return [_written(run, name) for name in names]
    answer = read_result(run)
    native, _ = bases(answer.space, 2)  # the proxy, whose classes these are, is not asked for
    if missing := [name for name in names if name not in answer.policies]:
        raise UserError(f"{run.path} does not say what its candidate {missing[0]} is; run the search again")
    return [native.realise(answer.policies[name].native.multipliers).spec for name in names]


def _written(run: Run, name: str) -> NetworkSpec:
    path = run.path / FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"there is no {path}: the run was not finished, or the file was moved")
    return read(path)
