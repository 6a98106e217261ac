"""A throw-away PostgreSQL server on a Unix socket."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

#: Its superuser's, whom nobody but the tests knows; no word of it may come out anywhere.
PASSWORD = "tr0ub4dor/&3@home"


def programs() -> Path | None:
    """Where ``initdb`` and ``pg_ctl`` are, which Debian keeps off the path; the newest version's."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return (
        Path(found).parent if found else next((f for f in reversed(folders) if (f / "initdb").exists()), None)
    )


@dataclass(frozen=True)
class Server:
    """A cluster of databases in a folder."""

    programs: Path
    folder: Path

    @property
    def url(self) -> str:
        """Of its database, with the password."""
        return f"postgresql+psycopg://scaler:{quote(PASSWORD, safe='')}@/postgres?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        with (self.folder / "log").open("ab") as log:
            subprocess.run(command, check=True, user=user, cwd=self.folder, stdout=log, stderr=log)

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-l", str(self.folder / "server.log"), "-o", options)

    def stop(self) -> None:
        """At once: all connections are cut."""
        self.run("pg_ctl", "stop", "-w", "-m", "immediate")


@contextlib.contextmanager
def server(programs: Path) -> Iterator[Server]:
    """A server that runs; its folder's path is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            if os.geteuid() == 0:
                shutil.chown(path, "postgres")
        made = Server(programs, folder)
        made.run("initdb", "-U", "scaler", "-A", "scram-sha-256", "--pwfile", str(folder / "password"))
        made.start()
        try:
            yield made
        finally:
            made.stop()
