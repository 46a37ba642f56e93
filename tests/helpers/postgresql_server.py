"""A real PostgreSQL server on a temporary folder, for tests; it has no password and listens on a socket only."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

START_SECONDS = 60
# the server is stopped, never lost with its disk: waiting for the disk would be most of the tests' time
QUICK = ("fsync=off", "full_page_writes=off", "max_wal_size=4GB", "checkpoint_timeout=1h")
PROGRAMS = ("initdb", "postgres", "pg_isready", "psql")


def find_postgresql() -> Path | None:
    """The folder with PostgreSQL's programs, the newest version; None when it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parts[4]), reverse=True)
    on_path = [Path(program).parent for program in [shutil.which("postgres")] if program]
    return next((folder for folder in debian + on_path if all((folder / name).exists() for name in PROGRAMS)), None)


class PostgresqlServer:
    """One server with one folder; as root it runs as the user that Debian's package makes, for it refuses root."""

    def __init__(self) -> None:
        self.programs = find_postgresql()
        self.process: subprocess.Popen | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path may have 107 characters
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user, self.user)
        self._run("initdb", "-D", self.folder / "data", "-U", "tester", "--auth=trust", "--encoding=UTF8", "--no-sync")

    def start(self) -> None:
        command = [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder]
        for setting in ("listen_addresses=", "max_connections=200", *QUICK):
            command += ["-c", setting]
        end = time.monotonic() + START_SECONDS
        self.process = None
        while self._fails("pg_isready", "-h", self.folder, "-q"):
            if time.monotonic() > end:
                raise RuntimeError("PostgreSQL did not start")
            if self.process is None or self.process.poll() is not None:  # the one before may still be letting go
                self.process = subprocess.Popen(command, **self._quietly())
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop now, whoever is connected."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(START_SECONDS)

    def remove(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # at once: the folder goes too
            self.process.wait(START_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, name: str) -> str:
        """The URL of an empty database: a schema that its user sees as the whole; a real one is 7 MB of files."""
        made = f'CREATE ROLE "{name}" LOGIN; CREATE SCHEMA AUTHORIZATION "{name}"'
        self._run("psql", "-h", self.folder, "-U", "tester", "-d", "postgres", "-q", "-c", made)
        return f"postgresql://{name}@/postgres?host={self.folder}"

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run([self.programs / program, *map(str, arguments)], check=True, **self._quietly())

    def _fails(self, program: str, *arguments: object) -> bool:
        return subprocess.run([self.programs / program, *map(str, arguments)], **self._quietly()).returncode != 0

    def _quietly(self) -> dict:
        return {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.folder, "user": self.user}
