"""What networks really cost on a device, with a bar while that is found out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from scaler.networks.spec import NetworkSpec
    from scaler.report.console import Output
    from scaler.runs import Run


def measured(output: Output, specs: Sequence[NetworkSpec], device: str) -> list[dict[str, object]]:
    """Memory and latency of every network, as :func:`scaler.cost.measured.measured_costs` has them.

    Raises:
        UserError: there is no such device.
        MachineError: a network does not fit into its memory.
    """
    from scaler.cost.measured import measured_costs
    from scaler.training.device import resolve

    where, found = str(resolve(device).torch), []
    with output.progress("Measuring", len(specs)) as advance:
        for spec in specs:
            found.append(measured_costs(spec, where))
            advance()
    return found


def known_costs(run: Run) -> dict[str, dict[str, object]]:
    """What a run's networks were measured to cost when its curve was written before, by their names."""
    from scaler.errors import UserError
    from scaler.report.columns import cost_columns
    from scaler.report.run_tables import CURVE, read_curve

    if not (run.path / CURVE).is_file():
        return {}
    with suppress(UserError):  # a damaged curve is written anew
        table = read_curve(run)
        if "device" not in table:
            return {}
        costs = table[[*(column.name for column in cost_columns(table)), "device"]].to_dict("records")
        return {
            str(name): {str(key): value for key, value in row.items()}
            for name, row in zip(table["network"], costs, strict=True)
        }
    return {}


def with_costs(output: Output, run: Run, table: pd.DataFrame, device: str) -> pd.DataFrame:
    """The networks of a run with what they really cost at their own size; those measured there stay.

    Raises:
        UserError: the run does not hold its networks, or there is no such device.
        MachineError: a network does not fit into the device's memory.
    """
    import pandas as pd

    from scaler.growth.specs import native_specs
    from scaler.training.device import resolve

    where = str(resolve(device).torch)
    if "device" in table and (table["device"] == where).all():
        return table
    names = [str(name) for name in table["network"]]
    costs = pd.DataFrame(measured(output, native_specs(run, names), device), index=table.index)
    return table.drop(columns=[name for name in costs if name in table]).join(costs)
