"""Time that never goes back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

log = logging.getLogger(__name__)


def _utc() -> datetime:
    return datetime.now(UTC)


class SteadyClock:
    """The latest time that the machine's clock has shown.

    When that clock is put back, this one stands still until it has caught up: an experiment that
    has started does not un-start, and no exposure is older than its phase. read: with a zone.
    """

    def __init__(self, read: Callable[[], datetime] = _utc) -> None:
        self._read = read
        self._latest = read()
        self._back = False

    def now(self) -> datetime:
        """Logs once each time the clock turns out to have been put back."""
        time = self._read()
        if time >= self._latest:
            self._latest = time
            self._back = False
        elif not self._back:
            self._back = True
            log.warning("clock: went back by %s; experiments wait for it", self._latest - time)
        return self._latest
