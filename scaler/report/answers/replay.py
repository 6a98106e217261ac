"""What the scores of replays are held against, in words."""

from __future__ import annotations

import math

from scaler.replay.evaluation import ReferenceRegrets
from scaler.replay.table import Table


def reference_text(regrets: ReferenceRegrets, table: Table) -> str:
    """Regret of a choice at random; at the table's larger size, if any, also the least that is possible."""
    text = f"a candidate at random lies {regrets.random:.2f} points below the best"
    if table.larger and math.isfinite(regrets.least_larger):
        text += (
            f"; at {table.larger.size:g}x {regrets.random_larger:.2f}, and any choice at least "
            f"{regrets.least_larger:.2f}, which the few trainings there leave open"
        )
    return text
