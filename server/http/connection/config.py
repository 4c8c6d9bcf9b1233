"""What uvicorn is told."""

from __future__ import annotations

from functools import partial

import uvicorn

from ...settings import Settings
from ..dispatcher import RequestDispatcher
from .elsewhere import Elsewhere
from .protocol import HttpConnection


class Config(uvicorn.Config):
    """uvicorn's, with the times of the settings, and nothing said but of what goes wrong."""

    def __init__(
        self,
        dispatcher: RequestDispatcher,
        settings: Settings,
        shutdown_timeout: int,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """elsewhere: who answers what this process does not; None if it answers everything."""
        super().__init__(
            dispatcher,
            http=partial(HttpConnection, dispatcher, settings, elsewhere),  # type: ignore[arg-type]  # only called
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here asks who the client is
            timeout_graceful_shutdown=shutdown_timeout,
        )
