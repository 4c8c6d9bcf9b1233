"""Another checkpoint without a pause: built beside the old one, then one pointer moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ..models.errors import NestlingError
from ..models.manifest import Manifest
from .engine.backend import Backend, BackendGoneError
from .errors import Reason, RequestError
from .service import Service

log = logging.getLogger(__name__)


class Reloader:
    """Replaces the service that answers.

    load: a backend of a verified checkpoint; None for the one given at start. build: a service of
    it, not yet started. Belongs to the event loop. A request takes the pointer once, when it
    arrives: its answer comes wholly from one checkpoint.
    """

    def __init__(
        self,
        load: Callable[[Path | None], Backend],
        build: Callable[[Backend], Service],
        service: Service,
    ) -> None:
        self._load, self._build = load, build
        self.service = service
        self._busy = False
        self._old: set[asyncio.Task[None]] = set()

    async def reload(self, path: Path | None = None) -> Manifest:
        """Load, verify, warm up, swap; the old one goes on until then and ends what it accepted.

        Raises RequestError, and the old one goes on serving: while another reload runs, and for a
        checkpoint that cannot be served.
        """
        if self._busy:
            raise RequestError(Reason.RELOADING, "another reload is under way; try again later")
        self._busy = True
        try:
            fresh = self._build(await asyncio.to_thread(self._load, path))
            await fresh.start()
        except (NestlingError, BackendGoneError) as error:
            log.error("reload refused: %s", error)
            raise RequestError(
                Reason.BAD_CHECKPOINT, f"{error}; the old checkpoint goes on serving"
            ) from error
        finally:
            self._busy = False
        old, self.service = self.service, fresh
        ending = asyncio.create_task(old.retire())
        self._old.add(ending)
        ending.add_done_callback(self._old.discard)
        log.info("serving weights %s now", fresh.manifest.weights_sha256[:12])
        return fresh.manifest

    async def stop(self) -> None:
        """End the service, and those replaced that have not ended yet."""
        await asyncio.gather(self.service.stop(), *self._old)
