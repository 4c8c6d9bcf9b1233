"""`nestling serve`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..server.settings import Settings
from .flags import CHECKPOINT, unknown_variables, with_settings
from .progress import ProgressDisplay

if TYPE_CHECKING:
    from ..models.checkpoint.manifest import Manifest

log = logging.getLogger(__name__)
SHIPPED = "clinc150"
"""The checkpoint that comes with the package."""


@with_settings
def serve(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            help="Checkpoint directory or Hub id; without it, the one that ships with Nestling.",
            envvar=CHECKPOINT,
            show_default=False,
        ),
    ] = None,
    *,
    settings: Settings,
) -> None:
    """Serve a checkpoint over HTTP."""
    run(checkpoint, settings)


def run(name: str | None, settings: Settings) -> None:
    """Serve, and return once stopped. Raises NestlingError for what the user can fix."""
    from ..server.supervisor.start import Started, start
    from ..server.telemetry.logs import configure_logging

    configure_logging(settings.log_format)
    for warning in unknown_variables(os.environ):
        log.warning(warning)
    signal.signal(signal.SIGTERM, _stop_starting)
    # To hand one text to another thread takes the tokenizer longer than to encode it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    title = Path(name or SHIPPED).resolve().name
    with ExitStack() as starting:
        progress = starting.enter_context(_progress(settings))

        def announce(started: Started) -> None:
            starting.close()
            print(_greeting(title, started.manifest, started.url, started.by), flush=True)
            if started.metrics_url:
                print(f"Metrics: {started.metrics_url}/metrics", flush=True)

        start(lambda: locate(name), settings, progress, announce)


def _progress(settings: Settings) -> ProgressDisplay:
    """A bar where somebody looks on; lines of the log elsewhere, in its form."""
    watched = sys.stderr.isatty() and settings.log_format == "text"
    return ProgressDisplay(None if watched else log.info, "starting: ")


def _stop_starting(number: int, _: object) -> None:
    """So that the worker is ended, too, and a container's first process does not ignore it."""
    sys.exit(128 + number)


def locate(name: str | None) -> Path:
    """A checkpoint's directory; None is the one that ships. Raises NestlingError for none."""
    if name is None:
        return Path(str(files("nestling.models") / "zoo" / SHIPPED))
    if Path(name).is_dir():
        return Path(name)
    from ..models.checkpoint.pretrained import (
        find,  # imports the Hub's client, which a directory never needs
    )

    return find(name)


def _greeting(title: str, checkpoint: Manifest, url: str, where: str) -> str:
    example = '{"inputs": "how do i say goodbye in french"}'
    return (
        f"Nestling serves {title} ({len(checkpoint.students)} students, "
        f"{len(checkpoint.architecture.head().labels)} labels, {where}) at {url}. Try:\n"
        f"  curl {url}/v1/classify -d '{example}'\n"
        f"or look at {url}/console"
    )
