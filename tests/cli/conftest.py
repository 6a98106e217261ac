"""A command line run in this process."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from scaler.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


RunCommand = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """``run("profile", "effnet-b0", "--json")``."""
    monkeypatch.setenv("COLUMNS", "100")

    def run_command(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        code = end.value.code or 0
        assert isinstance(code, int)
        return Ran(code, *capsys.readouterr())

    return run_command
