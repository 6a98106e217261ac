"""Until something is printed, against the import of torch."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.speed.ratio import Row, program, ratio

GROUP = "start"

COMMANDS = (
    ("--help",),
    ("bases",),
    ("spaces",),
    ("search", "--space", "smoke", "--dry-run"),
    ("search", "--dry-run"),
)


def rows() -> Iterator[Row]:
    """A row per command, from start to end."""
    torch = program("-c", "import torch")
    for command in COMMANDS:
        found = ratio(program("-m", "scaler", *command), torch)
        name = f"scaler {' '.join(command)}"
        yield found.row(GROUP, name, "import torch", 1000 * found.seconds, "ms")
