"""Experiments wait for a clock that was put back."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from nestling.experiments.clock import SteadyClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_never_goes_back(caplog: pytest.LogCaptureFixture) -> None:
    minutes = [0, 5, 3, 4, 6, 2]
    times = iter([NOON + timedelta(minutes=m) for m in minutes])
    clock = SteadyClock(lambda: next(times))
    with caplog.at_level(logging.WARNING):
        seen = [clock.now() for _ in minutes[1:]]
    assert seen == [NOON + timedelta(minutes=m) for m in (5, 5, 5, 6, 6)]
    assert [record.getMessage() for record in caplog.records] == [
        "clock: went back by 0:02:00; experiments wait for it",
        "clock: went back by 0:04:00; experiments wait for it",
    ]


def test_reads_the_machine_with_a_zone() -> None:
    assert SteadyClock().now().utcoffset() == timedelta(0)
