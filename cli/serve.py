"""`nestling serve`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..server.settings import RunnerName, Settings
from .flags import CHECKPOINT, unknown_variables, with_settings
from .progress import ProgressDisplay

if TYPE_CHECKING:
    from sqlalchemy import Engine

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
    start(checkpoint, settings)


def start(name: str | None, settings: Settings) -> None:
    """Load, serve, and return once stopped. Raises NestlingError for what the user can mend."""
    from ..server.engine.worker.process import WorkerProcess
    from ..server.supervisor.listeners import bind, url_of
    from ..server.telemetry.logs import configure_logging

    configure_logging(settings.log_format)
    for warning in unknown_variables(os.environ):
        log.warning(warning)
    signal.signal(signal.SIGTERM, _stop_starting)
    # To hand one text to another thread takes the tokenizer longer than to encode it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    title = Path(name or SHIPPED).resolve().name
    with ExitStack() as stack:
        listeners = stack.enter_context(bind(settings))
        settings = listeners.taken(settings)
        starting = stack.enter_context(ExitStack())
        progress = starting.enter_context(_progress(settings))
        progress.step("looking for the checkpoint")
        path = locate(name)
        launched = WorkerProcess.now()
        stack.callback(launched.kill)  # whatever happens, it does not outlive the server
        progress.step("loading code")
        _check_files(settings)
        from ..server.engine.worker.client import WorkerClient
        from ..server.http.app import create_app  # which takes as long as the worker's own imports
        from ..server.supervisor.run import run

        worker = WorkerClient(path, settings, launched)
        worker.ready(progress)
        engine = _record(settings, worker.manifest)
        where = worker.device if worker.runner == "torch" else f"{worker.device}, {worker.runner}"

        def announce() -> None:
            starting.close()
            url = url_of(listeners.main)
            print(_greeting(title, worker.manifest, url, where), flush=True)
            if listeners.metrics:
                print(f"Metrics: {url_of(listeners.metrics)}/metrics", flush=True)

        def load(another: Path | None, runner: RunnerName | None) -> WorkerClient:
            by = replace(settings, runner=runner) if runner else settings
            fresh = WorkerClient(another or path, by)
            fresh.ready()
            return fresh

        app = create_app(worker, settings, load, engine)
        progress.step("asking every student once")
        run(app, settings, listeners, announce)


def _progress(settings: Settings) -> ProgressDisplay:
    """A bar where somebody looks on; lines of the log elsewhere, in its form."""
    watched = sys.stderr.isatty() and settings.log_format == "text"
    return ProgressDisplay(None if watched else log.info, "starting: ")


def _stop_starting(number: int, _: object) -> None:
    """So that the worker is ended, too, and a container's first process does not ignore it."""
    sys.exit(128 + number)


def _check_files(settings: Settings) -> None:
    """Raises NestlingError for a file of keys or experiments that will not do, before the wait."""
    from ..experiments.loader import read
    from ..server.http.keys import Keys

    for file in (settings.api_keys, settings.admin_keys):
        Keys.read(file)
    if settings.experiments:
        read(settings.experiments)


def _record(settings: Settings, manifest: Manifest) -> Engine | None:
    """The database of experiments, where the file's declaration holds; None if none is kept."""
    if settings.database is None:
        return None
    from datetime import UTC, datetime

    from ..experiments.apply import declare
    from ..experiments.loader import read
    from ..experiments.runtime import known_of
    from ..experiments.store.database import open_database

    engine = open_database(settings.database)
    if settings.experiments:
        declared, now = read(settings.experiments), datetime.now(UTC)
        _, steps = declare(engine, declared, known_of(manifest), now)
        for step in steps:
            log.info("experiment %s: %s", step.name, "; ".join(step.words))
    return engine


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
        f"{len(checkpoint.architecture.labels)} labels, {where}) at {url}. Try:\n"
        f"  curl {url}/v1/classify -d '{example}'\n"
        f"or look at {url}/console"
    )
