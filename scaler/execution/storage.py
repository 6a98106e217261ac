"""Where a study is kept: a journal in the run's directory, or a database; and who may write it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, quote_plus

import filelock
import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from scaler.errors import MachineError, UserError
from scaler.files import reported

T = TypeVar("T")

#: What Optuna runs into where a storage holds something else than it wrote.
STUMBLES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
#: Seconds that SQLite is waited for while others write, and a server that is gone.
SQLITE_PATIENCE, SERVER_PATIENCE = 60.0, 300.0
#: Seconds that others' making of a database's tables is waited for, and PostgreSQL's state for one there is.
CREATION_PATIENCE, DUPLICATE_TABLE = 30.0, "42P07"
#: Seconds before a server is tried again, at first and at most.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class Leadership(Protocol):
    """The right to write a study. It ends with the process that holds it, however that ends."""

    def hold(self) -> None:
        """Take it, or make sure that it is still held; raises UserError where another process has it."""

    def release(self) -> None:
        """Leave it to others."""


def open_storage(address: str) -> BaseStorage:
    """Open the storage at a path (a journal) or a URL (``sqlite:///``, ``postgresql+psycopg://``).

    Raises:
        UserError: the address cannot be opened, or the journal is damaged.
        MachineError: the disk is full.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "://" not in address:
        path = Path(address)
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():  # a pipe would never end
                raise UserError(f"{path} is no plain file: remove it, and run the same command again")
            lock = _JournalLock(path)
            lock.mend()
            journal = _Journal(address, lock_obj=lock)  # type: ignore[arg-type]
            try:
                return JournalStorage(journal)
            except STUMBLES:
                raise damaged(f"line {journal.line}", address) from None
    try:
        options = (
            {"connect_args": {"timeout": SQLITE_PATIENCE}} if _file(address) else {"pool_pre_ping": True}
        )
        return _opened(address, options)
    # Every driver has its own errors for what the user gets wrong here.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--storage {hidden(address, address)} cannot be opened ({hidden(reason, address)}): give a "
            "path, or a URL such as postgresql+psycopg://user@host/database, and install what it needs "
            "(pip install 'compound-scaler[postgres]')."
        ) from None


def _opened(address: str, options: dict[str, Any]) -> RDBStorage:
    """A database, whose tables another process may be making at the same moment."""
    end = time.monotonic() + CREATION_PATIENCE
    while True:
        try:
            return RDBStorage(address, options)
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
            cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
            # PostgreSQL's words may be of any language.
            state = getattr(getattr(cause, "orig", None), "sqlstate", None)
            twice = state == DUPLICATE_TABLE or "already exists" in str(cause)
            if not (twice or isinstance(cause, IntegrityError)) or time.monotonic() > end:
                raise
        time.sleep(SHORTEST_PAUSE)


def persistently(address: str, leadership: Leadership, operation: Callable[[], T]) -> T:
    """Do something with a storage. A server that is gone is waited for: trainings go on meanwhile.

    Raises:
        MachineError: the disk is full, or the server stays away.
        UserError: another process took the study over meanwhile.
    """
    end, pause = time.monotonic() + SERVER_PATIENCE, SHORTEST_PAUSE
    while True:
        try:
            with reported(_file(address) or Path(hidden(address, address))):
                return operation()
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
            cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
            gone = isinstance(cause, (OperationalError, InterfaceError)) and not _file(address)
            if not gone or time.monotonic() > end:
                reason = " ".join(str(getattr(cause, "orig", None) or cause or error).split())[:200]
                where = hidden(address, address)
                raise MachineError(f"the study at {where} failed: {hidden(reason, address)}.") from None
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        with contextlib.suppress(SQLAlchemyError):
            leadership.hold()


def together(storage: BaseStorage) -> contextlib.AbstractContextManager[None]:
    """Write what follows at once, where the storage can: attributes and curves, which nobody waits for."""
    journal = getattr(storage, "_backend", None)
    return journal.together() if isinstance(journal, _Journal) else contextlib.nullcontext()


def damaged(part: str, address: str) -> UserError:
    """What to say of a part of a study, such as a line of its journal, that nobody can have written so."""
    kept = "file" if _file(address) else "database"
    return UserError(
        f"{part} of {hidden(address, address)} is damaged: put back a copy of the {kept}, or remove it to "
        "train anew."
    )


def leadership(address: str, name: str) -> Leadership:
    """The right to write the study of that name; of databases other than SQLite and PostgreSQL, all may."""
    if path := _file(address):
        return _OfFile(path, name)
    if address.startswith("postgres"):
        return _OfServer(address, name)
    return _OfAll()


def hidden(message: str, address: str) -> str:
    """A message about an address, without the address's password."""
    found = [r"(?<=://)([^:/@\s]*):[^/\s]+@", r"(?i)(password=)[^&\s]+"]
    message = re.sub(found[0], r"\1:***@", re.sub(found[1], r"\1***", message))
    for secret in _secrets(address):
        message = message.replace(secret, "***")
    return message


def _secrets(address: str) -> Iterator[str]:
    with contextlib.suppress(ArgumentError, ValueError):
        url = make_url(address)
        for secret in (url.password, url.query.get("password")):
            if isinstance(secret, str) and secret:
                yield from (secret, quote(secret, safe=""), quote_plus(secret))


def _file(address: str) -> Path | None:
    """The file behind an address, if it is one."""
    if "://" not in address:
        return Path(address)
    if not address.startswith("sqlite"):
        return None
    return Path(make_url(address).database or ":memory:")


# --- one leader ------------------------------------------------------------------------------------------


class _OfAll:
    def hold(self) -> None:
        pass

    def release(self) -> None:
        pass


class _OfFile:
    """A lock that the kernel frees."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._lock = filelock.FileLock(path.with_name(f".{path.name}.{name}.leader"), timeout=0)

    def hold(self) -> None:
        if self._lock.is_locked:
            return
        with reported(Path(self._lock.lock_file)):
            try:
                self._lock.acquire()
            except filelock.Timeout:
                raise _taken(self._name) from None

    def release(self) -> None:
        self._lock.release()


class _OfServer:
    """An advisory lock of PostgreSQL, which ends with the connection that holds it."""

    def __init__(self, address: str, name: str) -> None:
        self._name = name
        digest = hashlib.sha256(f"scaler {name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        url: URL = make_url(address)
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def hold(self) -> None:
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return
        except SQLAlchemyError:
            self.release()
        connection = self._engine.connect()
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}):
            connection.close()
            raise _taken(self._name)
        self._connection = connection

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # The server sees a connection's end some time after it; the lock is free at once.
            with contextlib.suppress(SQLAlchemyError):
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
            with contextlib.suppress(SQLAlchemyError):
                connection.close()


def _taken(name: str) -> UserError:
    return UserError(
        f"the study '{name}' is being written by another process: wait for it, stop it, or choose another "
        "--name."
    )


# --- journals --------------------------------------------------------------------------------------------


class _Journal(JournalFileBackend):
    """A journal that can write several records at once: each write waits for the disk.

    Attributes:
        line: the one that was read last, counted from 1.
    """

    line = 0
    _held: list[dict[str, Any]] | None = None

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        for number, log in enumerate(super().read_logs(log_number_from), log_number_from + 1):
            self.line = number
            yield log

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if self._held is None:
            super().append_logs(logs)
        else:
            self._held += logs

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
        super().append_logs(held)


class _JournalLock:
    """Guards a journal that several studies may share, and mends what a full disk left half-written.

    In place of Optuna's own lock, which stays behind when its holder is killed and stops everybody for 30
    seconds; the kernel frees this one.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock = filelock.FileLock(journal.with_name(f".{journal.name}.write"), poll_interval=0.005)

    def acquire(self) -> bool:
        self._lock.acquire()
        with self._journal.open("rb") as file:
            empty = file.seek(0, 2) == 0
            whole = empty or (file.seek(-1, 2), file.read(1))[1] == b"\n"
        if not whole:
            mend(self._journal)
        return True

    def mend(self) -> None:
        """As :func:`mend` does, once nobody writes: half a line may be one that somebody is at."""
        if self._journal.exists():
            with self._lock:
                mend(self._journal)

    def release(self) -> None:
        self._lock.release()


def mend(journal: Path) -> None:
    """Cut off what a power cut or a full disk left at a journal's end.

    Raises:
        UserError: a line in its midst is damaged, and the trials after it cannot be told from one another.
    """
    if not journal.exists():
        return
    good, broken, number = 0, 0, 0
    with journal.open("rb") as file:
        if file.read(1) not in (b"", b"{"):  # before a line is read that may never end
            raise _no_study(journal)
        file.seek(0)
        for number, line in enumerate(file, 1):
            whole = line.endswith(b"\n")
            if not (whole and _is_record(line)):
                if whole and number == 1:
                    raise _no_study(journal)
                broken = broken or number
            elif broken:
                raise damaged(f"line {broken}", str(journal))
            else:
                good += len(line)
    if broken:
        with journal.open("rb+") as file:
            file.truncate(good)


def _no_study(journal: Path) -> UserError:
    return UserError(f"{journal} is no study: put back a copy, or remove it to train anew.")


def _is_record(line: bytes) -> bool:
    """Whether it is an object that says what was done, and by whom."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("op_code"), int) and "worker_id" in found
