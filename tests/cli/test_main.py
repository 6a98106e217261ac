"""The program's frame: how failures end, what is imported, where words go."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import typer

from scaler.cli import main as program
from scaler.cli.options import parse_duration
from scaler.errors import MachineError, UserError
from scaler.report.console import Output, table
from tests.cli.conftest import RunCommand


def end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: BaseException
) -> tuple[int, str]:
    """Exit code and stderr of a command that fails so."""
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise failure

    monkeypatch.setattr(program, "app", app)
    with pytest.raises(SystemExit) as ended:
        program.main([])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert isinstance(ended.value.code, int)
    return ended.value.code, printed.err


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (UserError("no such [base]"), 2, "Error: no such [base]\n"),
        (MachineError("a worker was lost"), 1, "Error: a worker was lost\n"),
        (KeyboardInterrupt(), 130, "Interrupted\n"),
    ],
)
def test_failures_end_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failure: BaseException,
    code: int,
    sentence: str,
) -> None:
    assert end(monkeypatch, capsys, failure) == (code, sentence)


def test_a_full_disk_ends_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, sentence = end(monkeypatch, capsys, OSError(errno.ENOSPC, "No space left", "results/a.csv"))
    assert code == 1
    assert sentence.startswith("Error: the disk is full while writing results/a.csv; ")
    assert sentence.count("\n") == 1


def test_defects_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError):
        end(monkeypatch, capsys, ZeroDivisionError())
    with pytest.raises(PermissionError):
        end(monkeypatch, capsys, PermissionError(errno.EACCES, "denied"))


def test_wrong_use_of_options_exits_with_2(run: RunCommand) -> None:
    assert run("nosuch").code == 2
    assert run("profile").code == 2
    assert run("bases", "--nosuch").code == 2


def test_help_names_every_command(run: RunCommand) -> None:
    shown = run("--help")
    assert shown.code == 0
    for command in ("profile", "bases", "spaces", "data"):
        assert f" {command} " in shown.out


def test_what_needs_only_text_imports_no_torch() -> None:
    lines = [
        ["--help"], ["profile", "--help"], ["bases", "--help"], ["bases"], ["bases", "resnet-50"],
        ["spaces"], ["spaces", "quick"], ["data"], ["data", "--json"],
    ]  # fmt: skip
    script = f"""
import sys
from scaler.cli.main import main
for line in {lines!r}:
    try:
        main(line)
    except SystemExit as end:
        assert not end.code, line
    heavy = {{"torch", "optuna", "pandas", "matplotlib", "fvcore"}} & set(sys.modules)
    assert not heavy, (line, heavy)
"""
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_completion_knows_names_without_torch() -> None:
    lines = {"scaler profile effnet-b": "effnet-b7", "scaler spaces qui": "quick"}
    script = f"""
import os, sys
from scaler.cli.main import main
for words in {list(lines)!r}:
    os.environ.update(COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    print("#", end="")
    try:
        main([])
    except SystemExit:
        pass
    assert "torch" not in sys.modules
"""
    environment = os.environ | {"_SCALER_COMPLETE": "complete_bash"}
    ran = subprocess.run(
        [sys.executable, "-c", script], check=True, env=environment, capture_output=True, text=True
    )
    for shown, expected in zip(ran.stdout.split("#")[1:], lines.values(), strict=True):
        assert expected in shown.split()


def test_json_stands_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(json=True)
    output.note("a note")
    output.result({"a": float("nan"), "b": [np.int64(3), np.float64(0.5), True, None]}, "for people")
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": None, "b": [3, 0.5, True, None]}
    assert printed.err == "a note\n"


def test_quiet_leaves_results_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(quiet=True)
    output.note("a note")
    output.warn("mind [this]")
    output.result(None, "the [red]result")
    assert capsys.readouterr() == ("the [red]result\n", "Warning: mind [this]\n")


def test_cells_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result(None, table({"path": "left", "n": "right"}, [("runs/[bold]a", 1), (":smile:", 20)]))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["path", "n"],
        ["runs/[bold]a", "1"],
        [":smile:", "20"],
    ]


def test_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().progress("working", 3) as advance:
        advance(2)
        advance(1, "nearly")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172800), ("45", 45)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10 m", "10x", "-5m", "0s", "1h30", "ten"])
def test_unreadable_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="10m"):
        parse_duration(text)


def test_help_says_what_stands_where_nothing_is_given(run: RunCommand) -> None:
    def told(*command: str) -> str:
        return " ".join(run(*command, "--help").out.replace("│", " ").split())

    assert "one per core, or as many on each GPU as pay" in told("search")
    assert "search --keep-weights" in told("inspect", "cam")


def test_help_waits_for_no_heavy_library() -> None:
    program = (
        "import sys\n"
        "from scaler.cli.main import main\n"
        "for option in ('--help', '--version'):\n"
        "    try:\n"
        "        main([option])\n"
        "    except SystemExit as end:\n"
        "        assert not end.code\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stderr.split())
    assert "scaler" in imported
    assert not imported & {"torch", "numpy", "pandas", "optuna", "pydantic", "matplotlib", "rich"}


def test_help_cuts_no_sentence_short(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--help"])
    shown = capsys.readouterr().out.partition("Commands:")[2]
    assert "..." not in shown
    names = [command.callback.__name__ for command in program.app.registered_commands if command.callback]
    assert len(names) > 10
    assert all(f"\n  {name} " in shown for name in names)
