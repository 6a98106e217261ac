"""Where a study is kept: a journal in the run's directory, or a server that several machines reach."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import filelock
import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from scaler.errors import MachineError, UserError
from scaler.files import reported

#: Seconds that a process waits for SQLite while others write.
SQLITE_PATIENCE = 60


class JournalLock:
    """Guards a journal, and cuts off the half line that a full disk or a power cut may have left.

    In place of Optuna's own lock, which stays behind when its holder is killed and stops everybody for 30
    seconds; the kernel frees this one.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock = _file_lock(journal, ".write")

    def acquire(self) -> bool:
        self._lock.acquire()
        mend(self._journal)
        return True

    def release(self) -> None:
        self._lock.release()


def mend(journal: Path) -> None:
    """Cut a journal after its last whole line."""
    if not journal.exists() or journal.stat().st_size == 0:
        return
    with journal.open("rb+") as file:
        file.seek(-1, 2)
        if file.read(1) == b"\n":
            return
        content = journal.read_bytes()
        file.truncate(content.rfind(b"\n") + 1)


def open_storage(address: str, *, create: bool) -> BaseStorage:
    """Open the storage at a path (a journal) or a URL (``sqlite:///``, ``postgresql://``, ``redis://``).

    Args:
        address: path or URL.
        create: make what is missing. One process does so before the others come: several that make
            the tables of one database at the same time fail.

    Raises:
        UserError: the address cannot be opened.
        MachineError: the disk is full.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "://" not in address:
        path = Path(address)
        with reported(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            mend(path) if create else None
            return JournalStorage(JournalFileBackend(address, lock_obj=JournalLock(path)))  # type: ignore[arg-type]
    try:
        if address.startswith("redis"):
            return JournalStorage(JournalRedisBackend(address))
        patience = {"connect_args": {"timeout": SQLITE_PATIENCE}} if address.startswith("sqlite") else {}
        return get_storage(
            RDBStorage(address, patience, skip_compatibility_check=not create, skip_table_creation=not create)
        )
    # Every driver has its own errors for what the user gets wrong here.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--storage {_hidden(address)} cannot be opened ({_hidden(reason)}): give a path, or a URL "
            "such as postgresql://user@host/database, and install what it needs."
        ) from error


def claim_lock(address: str) -> contextlib.AbstractContextManager[object]:
    """What keeps two processes from claiming the same trial. Servers see to that themselves."""
    if "://" not in address:
        return _file_lock(Path(address), ".claim")
    if address.startswith("sqlite"):
        database = make_url(address).database
        if database and database != ":memory:":
            return _file_lock(Path(database), ".claim")
    return contextlib.nullcontext()


@contextlib.contextmanager
def storage_errors(address: str) -> Iterator[None]:
    """Turn a storage's failures into one sentence.

    Raises:
        MachineError: the disk is full, or the server is gone.
    """
    try:
        with reported(Path(address)):
            yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split())[:200]
        raise MachineError(f"the study at {_hidden(address)} failed: {_hidden(reason)}") from error


def _file_lock(path: Path, ending: str) -> filelock.BaseFileLock:
    return filelock.FileLock(path.with_name(f".{path.name}{ending}"), poll_interval=0.005)


def _hidden(text: str) -> str:
    """Without passwords."""
    return re.sub(r"://([^:/@\s]*):[^@\s]+@", r"://\1:***@", text)
