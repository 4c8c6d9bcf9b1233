"""Opening a database: the schema, several replicas at once, and what cannot be opened."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, make_url, text

from nestling.experiments.errors import StoreError
from nestling.experiments.store import database
from nestling.experiments.store.database import BUSY_SECONDS, open_database, transaction
from nestling.experiments.store.migrate import VERSION_TABLE
from nestling.experiments.store.schema import metadata
from nestling.models.errors import NestlingError

from .cluster import PASSWORD, Cluster
from .samples import count, exposure, write

OPEN = """
import sys
from nestling.experiments.store.database import open_database
print("ready", flush=True)
sys.stdin.readline()
open_database(sys.argv[1])
"""


def test_the_migrations_make_the_schema_that_the_code_has(engine: Engine) -> None:
    with transaction(engine) as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        checks = {c["name"] for c in inspect(connection).get_check_constraints("outcomes")}
        assert checks == {"outcomes_target", "outcomes_value"}


def test_opened_again_it_has_what_it_had(url: str) -> None:
    first = open_database(url)
    write(first, [exposure()])
    first.dispose()
    second = open_database(url)
    assert count(second) == 1
    second.dispose()


def test_replicas_that_start_together_do_not_clash(url: str) -> None:
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for replica in replicas:
        assert replica.stdout
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        assert replica.stdin
        replica.stdin.write("go\n")
        replica.stdin.flush()
    for replica in replicas:
        _, errors = replica.communicate(timeout=60)
        assert replica.returncode == 0, errors


def test_a_schema_of_the_future_is_refused_and_left_alone(engine: Engine, url: str) -> None:
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(NestlingError, match="its schema is 9999, which this version"):
        open_database(url)
    with transaction(engine) as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "9999"


def test_sqlite_reads_while_it_is_written(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    with transaction(engine) as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 1
        assert connection.scalar(text("PRAGMA busy_timeout")) == 1000 * BUSY_SECONDS
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nestling.db", "not a URL of the form sqlite:///FILE"),
        ("postgresql://nestling:a:b/c@d", "not a URL|refused|resolve"),
        ("postgresql://nestling:sesame@87@127.0.0.1:1/x", "@ is written %40"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("mysql://nestling:sesame-87@127.0.0.1/x", "'mysql' is none of sqlite, postgresql"),
        ("sqlite:////no/such/folder/store.db", "unable to open database file"),
        ("postgresql://nestling:sesame-87@127.0.0.1:1/x", "Connection refused"),
        ("postgresql://nestling:sesame-87@127.0.0.1:1/x?password=sesame-87", "Connection refused"),
    ],
)
def test_what_cannot_be_opened_says_why(
    url: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError, match=message) as raised:
        open_database(url)
    assert "sesame" not in str(raised.value) + caplog.text


def test_a_wrong_password_is_not_shown(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    url = cluster.new_schema()
    with pytest.raises(StoreError, match="password authentication failed") as raised:
        open_database(url.replace(PASSWORD, "open-sesame"))
    assert "open-sesame" not in str(raised.value) + caplog.text
    assert f"nestling:***@127.0.0.1:{make_url(url).port}" in str(raised.value)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_that_never_answers_is_given_up(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    with pytest.raises(StoreError, match="timeout"):
        open_database(f"postgresql://nestling@127.0.0.1:{silent}/x")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but somebody's notes\n" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match="file is not a database"):
        open_database(f"sqlite:///{file}")
    assert file.read_bytes() == before
