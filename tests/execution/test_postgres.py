"""A study on a real PostgreSQL server: what others see, outages, two leaders, and no word of the password."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from scaler.cli.main import main
from scaler.errors import MachineError, UserError
from scaler.execution import storage
from scaler.execution.protocol import TrialSpec
from scaler.execution.study import Study
from tests.execution import postgres, toy_search
from tests.execution.postgres import PASSWORD, Server
from tests.execution.toy import noted
from tests.execution.toy_search import EXPERIMENT

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'compound-scaler[postgres]'")
PROGRAMS = postgres.programs()
TINY = """
about: a test
grid: {lattice: 1}
data: digits
proxy: {resolution: 8, width: 0.25, upsample: true}
recipe: {epochs: 1, images: 64, batch_size: 32, validation_images: 50}
rungs: [1]
seeds: 1
strategy: exhaustive
"""
if PROGRAMS is None:
    pytest.skip("PostgreSQL is not installed: apt-get install postgresql", allow_module_level=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    assert PROGRAMS is not None
    with postgres.server(PROGRAMS) as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    return emptied(server)


def emptied(server: Server) -> str:
    """The URL of its database, without any table."""
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server.url


def cut(url: str) -> None:
    """End all connections but this one, as an administrator or a firewall does."""
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )
    engine.dispose()


def states(url: str) -> Counter[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = Counter(connection.scalars(text("SELECT state FROM trials")))
    engine.dispose()
    return found


def test_a_search_on_a_server_is_the_one_on_a_journal(url: str, tmp_path: Path) -> None:
    alone = toy_search.run("journal", tmp_path / "journal")
    assert toy_search.run(url, tmp_path / "server", workers=2) == alone
    before = noted(tmp_path / "server")
    assert toy_search.run(url, tmp_path / "server") == alone
    assert noted(tmp_path / "server") == before
    assert set(states(url)) == {"COMPLETE"}


def test_cut_connections_and_a_restart_are_waited_out(server: Server, url: str, tmp_path: Path) -> None:
    alone = toy_search.run("journal", tmp_path / "journal")
    faults = []

    def trouble(done: float, total: float) -> None:
        faults.append(done)
        if len(faults) == 8:
            server.stop()
            server.start()
        elif len(faults) % 3 == 0:
            cut(url)

    assert toy_search.run(url, tmp_path / "server", on_progress=trouble) == alone
    assert len(faults) > 12
    assert set(Counter(entry[1:] for entry in noted(tmp_path / "server")).values()) == {1}
    assert set(states(url)) <= {"COMPLETE", "FAIL"}


def test_a_server_that_stays_away_ends_the_search(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SERVER_PATIENCE", 0.5)
    try:
        with pytest.raises(MachineError, match=r"the study at postgresql.* failed") as caught:
            toy_search.run(url, tmp_path, on_progress=lambda done, total: server.stop() if done else None)
    finally:
        server.start()
    assert PASSWORD not in str(caught.value)
    alone = toy_search.run("journal", tmp_path / "journal")
    assert toy_search.run(url, tmp_path) == alone


def test_a_second_leader_is_turned_away_until_the_first_is_gone(url: str) -> None:
    with Study.open(url, "toy"):
        with pytest.raises(UserError, match="'toy' is being written by another process"):
            Study.open(url, "toy")
        with Study.open(url, "another"):
            pass
    with Study.open(url, "toy"):
        pass


def test_a_leader_that_was_cut_off_gives_way_to_one_that_took_over(url: str) -> None:
    with Study.open(url, "toy") as first:
        cut(url)
        with (
            Study.open(url, "toy"),
            pytest.raises(UserError, match="'toy' is being written by another process"),
        ):
            first.start(TrialSpec(0, 0, 0), EXPERIMENT, {})
        first.start(TrialSpec(0, 0, 0), EXPERIMENT, {})


def test_no_file_log_or_message_holds_the_password(
    server: Server,
    url: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    command = [
        *("search", "--base", "resnet-20", "--space", "tiny.yaml", "--workers", "2", "--results", "results"),
        "--storage",
    ]
    wrong = url.replace("postgres?", "nowhere?")
    words = ""
    for address, code in ((url, 0), (wrong, 2)):
        with pytest.raises(SystemExit) as end:
            main([*command, address])
        told = capfd.readouterr()
        words += told.out + told.err
        assert (end.value.code or 0) == code, told.err
    assert "nowhere" in words
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    quoted = server.url.partition("scaler:")[2].partition("@/")[0]
    for secret in (PASSWORD, quoted):
        assert secret not in words
        assert secret not in caplog.text
        assert not [path for path in files if secret.encode() in path.read_bytes()]
