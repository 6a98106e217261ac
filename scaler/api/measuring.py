"""What networks really cost on a device, with a bar while that is found out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaler.networks.spec import NetworkSpec
    from scaler.report.console import Output


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
