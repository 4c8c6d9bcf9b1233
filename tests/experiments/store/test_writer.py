"""Exposures reach the database in batches, whatever happens to it on the way."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select, text

from nestling.experiments.store import writer as writing
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.schema import exposures, time_of
from nestling.experiments.store.writer import Writer

from .cluster import PASSWORD, Cluster
from .samples import BEGIN, count, exposure, until, write

WRITE = """
import sys
from nestling.experiments.store.database import open_database
from nestling.experiments.store.writer import Writer
from tests.experiments.store.samples import exposure
writer = Writer(open_database(sys.argv[1]), batch=50)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    writer.add(exposure(number))
print(writer.close(timeout=60), writer.written, writer.dropped)
"""
Outage = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def outage(request: pytest.FixtureRequest, engine: Engine) -> Outage:
    """The database away for the length of a block: killed, or locked by another program."""
    if engine.dialect.name == "postgresql":
        cluster: Cluster = request.getfixturevalue("cluster")

        @contextmanager
        def killed() -> Iterator[None]:
            cluster.kill()
            try:
                yield
            finally:
                cluster.start()

        return killed

    @contextmanager
    def locked() -> Iterator[None]:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            connection.rollback()

    event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 100"))
    engine.dispose()
    return locked


def test_what_is_added_arrives_whole(engine: Engine) -> None:
    given = exposure(7, unit="Zoë 🪺", covariate=-1.5, paired=True, served=False, brownout=2)
    write(engine, [given, exposure(8, student=None, label=None, confidence=None, status=504)])
    with transaction(engine) as connection:
        first, second = connection.execute(select(exposures).order_by(exposures.c.at))
    for column in set(exposures.columns.keys()) - {"at", "path"}:
        assert getattr(first, column) == getattr(given, column)
    assert time_of(first.at) == given.at
    assert first.path == [[{"student": "tiny", "label": "music", "confidence": 0.9}]]
    assert (second.student, second.label, second.confidence) == (None, None, None)


def test_it_arrives_within_a_second_or_so_without_closing(engine: Engine) -> None:
    writer = Writer(engine)
    writer.add(exposure())
    until(lambda: writer.written == 1)
    assert count(engine) == 1
    assert (writer.buffered, writer.dropped, writer.up) == (0, 0, True)
    assert writer.close(timeout=10) == 0


def test_the_same_exposure_twice_is_there_once(engine: Engine) -> None:
    write(engine, [exposure(), exposure()])
    write(engine, [exposure(), exposure(1), exposure(variant="blue", paired=True)])
    assert count(engine) == 3


def test_an_outage_loses_nothing_within_the_bound(
    engine: Engine, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    writer = Writer(engine, bound=300, batch=20)
    for number in range(50):
        writer.add(exposure(number))
    until(lambda: writer.written == 50)
    with outage():
        for number in range(50, 350):
            writer.add(exposure(number))
        until(lambda: not writer.up)
        assert writer.failing_since is not None
        assert (writer.buffered, writer.dropped) == (300, 0)
        for number in range(350, 360):
            writer.add(exposure(number))
        assert (writer.buffered, writer.dropped) == (300, 10)
        until(lambda: "10 exposures dropped so far" in caplog.text)
    until(lambda: writer.written == 350)
    assert writer.up
    assert writer.failing_since is None
    assert writer.close(timeout=30) == 0
    assert (count(engine), writer.dropped) == (350, 10)
    assert "up to 300 exposures wait until it is back" in caplog.text
    assert "it takes exposures again" in caplog.text
    assert PASSWORD not in caplog.text


def test_closing_in_an_outage_says_what_is_lost(engine: Engine, outage: Outage) -> None:
    writer = Writer(engine)
    with outage():
        for number in range(5):
            writer.add(exposure(number))
        until(lambda: not writer.up)
        assert writer.close(timeout=0.5) == 5
    assert (writer.dropped, writer.buffered, writer.written) == (5, 0, 0)
    writer.add(exposure(6))
    assert writer.dropped == 6
    assert count(engine) == 0


def test_closing_waits_for_the_database_to_come_back(engine: Engine, outage: Outage) -> None:
    writer = Writer(engine)
    with outage():
        writer.add(exposure())
        until(lambda: not writer.up)
    assert writer.close(timeout=30) == 0
    assert count(engine) == 1


def test_a_row_at_fault_does_not_take_its_batch_along(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [exposure(number) for number in range(100)]
    object.__setattr__(rows[0], "unit", None)  # what no Exposure lets through
    object.__setattr__(rows[41], "label", "half \ud800")
    object.__setattr__(rows[42], "texts", 2**70)
    object.__setattr__(rows[43], "request_id", None)
    writer = Writer(engine)
    for row in rows:
        writer.add(row)
    assert writer.close(timeout=30) == 0
    assert (writer.written, writer.dropped, count(engine)) == (96, 4, 96)
    assert writer.failing_since is None
    for number in (0, 41, 42):
        assert f"exposure 'request-{number}' is refused" in caplog.text


def test_two_processes_write_at_once(engine: Engine, url: str) -> None:
    """Ranges overlap: the same exposures from both, each once in the database."""
    root = Path(__file__).parents[3]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, url, str(begin), str(begin + 1000)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for begin in (0, 500)
    ]
    for process in writers:
        report, _ = process.communicate(timeout=60)
        assert report.split() == ["0", "1000", "0"]
    assert count(engine) == 1500


def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    """SQLite at its largest number of pages: the error is that of a full disk, SQLITE_FULL."""
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    pages = 60

    def limit(connection: object, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    event.listen(engine, "connect", limit)
    engine.dispose()
    writer = Writer(engine, batch=50)
    for number in range(2000):
        writer.add(exposure(number))
    until(lambda: not writer.up)
    assert writer.buffered + writer.written == 2000
    assert count(engine) == writer.written > 0
    pages = 2**30
    engine.dispose()
    assert writer.close(timeout=30) == 0
    assert count(engine) == 2000


def test_a_database_that_hangs_holds_up_nobody(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on the table, which PostgreSQL waits for without an end."""
    monkeypatch.setattr(writing, "STALLED_SECONDS", 0.1)
    engine = open_database(cluster.new_schema())
    writer = Writer(engine)
    with transaction(engine) as connection:
        connection.execute(text("LOCK TABLE exposures IN ACCESS EXCLUSIVE MODE"))
        writer.add(exposure())
        until(lambda: not writer.up)
        assert writer.close(timeout=0.1) == 1
    assert writer.dropped == 1


def test_a_clock_that_goes_backwards_changes_nothing(engine: Engine) -> None:
    write(engine, [exposure(0), exposure(1, at=BEGIN.replace(year=1969))])
    with transaction(engine) as connection:
        times = connection.scalars(select(exposures.c.at).order_by(exposures.c.request_id))
        assert [time_of(at).year for at in times] == [2026, 1969]


def test_a_table_that_is_gone_is_an_outage_and_no_fault_of_the_rows(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE exposures RENAME TO elsewhere"))
    writer = Writer(engine)
    writer.add(exposure())
    until(lambda: not writer.up)
    assert (writer.buffered, writer.dropped) == (1, 0)
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO exposures"))
    assert writer.close(timeout=30) == 0
    assert count(engine) == 1
