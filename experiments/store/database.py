"""Opening the database: one URL, two kinds, errors that say what to fix and show no password."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from ...models.errors import missing_extra
from ..errors import StoreError
from .migrate import check, upgrade

CONNECT_SECONDS = 5
BUSY_SECONDS = 15
"""How long a writer of SQLite waits for another."""
MAKES_ONE = "`nestling serve --experiments FILE` makes one"
KINDS = ("sqlite:///FILE", "postgresql://USER:PASSWORD@HOST/DATABASE")


def open_database(url: str) -> Engine:
    """Connect and bring the schema up to date, as one of any number of replicas that start.

    url: `sqlite:///FILE` or `postgresql://…`; whatever psycopg takes may follow `?`. Raises
    StoreError within seconds: a URL that is none, a database that is down, a schema of the future.
    """
    engine = _engine(_parse(url))
    try:
        with transaction(engine) as connection:
            upgrade(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def read_database(url: str) -> Engine:
    """Connect to a database that is there, and write nothing: no file, no schema, no log.

    Raises StoreError as `open_database` does, and for a database that is not there or not up to
    date.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(str(parsed.database))
        if not file.is_file():
            raise StoreError(f"store: {file}: no such database; {MAKES_ONE}")
        # Without a log beside it nobody writes; then nothing is made to share it with a writer.
        still = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
        address = f"file:{quote(str(file))}?mode=ro{still}"
        engine = create_engine(
            parsed,
            hide_parameters=True,
            creator=lambda: sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True),
        )
    else:
        engine = _engine(parsed).execution_options(postgresql_readonly=True)
    try:
        with transaction(engine) as connection:
            check(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that ends with the block. Raises StoreError.

    On SQLite it takes the write lock with the first row that it writes.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise StoreError(f"store: {place(engine.url)}: {why(error)}") from None


def place(url: URL) -> str:
    """A URL for people: the password as stars, without options, which may hold another."""
    return url.set(query={}).render_as_string(hide_password=True)


def why(error: DBAPIError) -> str:
    """The driver's words in one line. What follows in PostgreSQL's would show the rows."""
    return str(error.orig).strip().partition("\n")[0]


def _parse(given: str) -> URL:
    # The driver's reason would show what it took for a host or port, maybe half a password.
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise StoreError(
            f"store: not a URL of the form {' or '.join(KINDS)}; "
            "in a password, the characters : / @ % are written %3A %2F %40 %25"
        ) from None
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise StoreError("store: SQLite needs a file, as in sqlite:///nestling.db")
        return url.set(drivername="sqlite")
    if url.get_backend_name() != "postgresql":
        raise StoreError(f"store: {url.get_backend_name()!r} is none of sqlite, postgresql")
    if "@" in (url.host or ""):
        raise StoreError("store: in the password, @ is written %40")
    return url.set(drivername="postgresql+psycopg")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _configure_sqlite)
        return engine
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "nestling",
                "client_encoding": "utf8",
                "keepalives_idle": 10,
                "tcp_user_timeout": 10_000,
            },
        )
    except ModuleNotFoundError as missing:
        said = missing_extra(str(missing.name), "PostgreSQL", "postgres")
        raise StoreError(f"store: {said}") from None


def _configure_sqlite(connection: Any, _: Any) -> None:
    # WAL: reports read while the writer writes. NORMAL: a power cut may lose the last commits,
    # never the file.
    end = monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:  # SQLite waits for locks, but not for this one
            if monotonic() > end:
                raise
            sleep(0.05)
    connection.execute("PRAGMA synchronous = NORMAL")
