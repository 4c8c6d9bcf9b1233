"""A private PostgreSQL, started and killed as a test likes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg

from ...programs import find

PASSWORD = "sesame-87"


class Cluster:
    """PostgreSQL on a free port of 127.0.0.1, its files in a folder of its own.

    It refuses to run as root; then it runs as the user `postgres` that its package makes.
    """

    def __init__(self) -> None:
        initdb = find("initdb")
        assert initdb  # or these tests would have been skipped
        self._programs = initdb.parent
        self._folder = Path(tempfile.mkdtemp(prefix="nestling-pg-"))
        password = self._folder / "password"
        password.write_text(PASSWORD)
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            self._as_user = ["runuser", "-u", "postgres", "--"]
            for path in (self._folder, password):
                shutil.chown(path, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = ["--auth=scram-sha-256", "--username=nestling", f"--pwfile={password}"]
        self._run("initdb", *options, "--encoding=UTF8", "--locale=C", "--no-sync")
        with (self._folder / "data" / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{self._folder}'\n"
                "fsync = off\nfull_page_writes = off\nshared_buffers = 32MB\n"
            )
        self._schemas = 0
        self.start()

    def start(self) -> None:
        """Returns once it takes connections."""
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._folder / 'log'}")

    def kill(self) -> None:
        """As a crash would: clients are cut off, nothing is flushed."""
        self._run("pg_ctl", "stop", "--mode=immediate", "--wait", "--silent")

    def new_schema(self) -> str:
        """The URL of an empty schema, which is made and removed faster than a database is."""
        self._schemas += 1
        name = f"nestling_{self._schemas}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._url}?options=-csearch_path%3D{name}"

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.kill()
        shutil.rmtree(self._folder)

    @property
    def _url(self) -> str:
        return f"postgresql://nestling:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), "-D", f"{self._folder}/data"]
        subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")
