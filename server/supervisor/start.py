"""From settings to a server that answers, in the order that is over soonest or fails soonest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_bytes

from ...models.checkpoint.manifest import Manifest, read_architecture
from ...models.progress import Progress
from ..engine.worker.process import WorkerProcess
from ..settings import Settings
from .garbage import look_seldom
from .listeners import Listeners, bind, url_of
from .processes import how_many


@dataclass(frozen=True)
class Started:
    """What answers now. by: the device, the precision and the runner. metrics_url: of the port of
    its own, if there is one."""

    manifest: Manifest
    by: str
    url: str
    metrics_url: str | None


def start(
    locate: Callable[[], Path],
    settings: Settings,
    progress: Progress,
    announce: Callable[[Started], None],
) -> None:
    """Take the addresses, load, serve, and return once stopped.

    locate: finds the checkpoint. announce: called once requests are answered. Raises NestlingError
    for what the user can fix.
    """
    look_seldom()
    with ExitStack() as stack:
        listeners = stack.enter_context(bind(settings))
        settings = listeners.taken(settings)
        progress.step("looking for the checkpoint")
        path = locate()
        if (count := how_many(settings)) > 1:
            _start_many(count, path, settings, listeners, progress, announce)
            return
        launched = WorkerProcess.now()
        stack.callback(launched.kill)  # whatever happens, it does not outlive the server
        progress.step("loading code")
        check_files(settings)
        from ..build import build
        from ..http.app import create_app  # which takes as long as the worker's own imports
        from .run import run

        inference, worker = build(path, settings, progress, launched)
        by = f"{worker.device}, {worker.precision} by {worker.runner}"
        metrics_url = url_of(listeners.metrics) if listeners.metrics else None
        started = Started(worker.manifest, by, url_of(listeners.main), metrics_url)
        app = create_app(inference, settings)
        progress.step("asking every student once")
        run(app, settings, listeners, lambda: announce(started))


def _start_many(
    count: int,
    path: Path,
    settings: Settings,
    listeners: Listeners,
    progress: Progress,
    announce: Callable[[Started], None],
) -> None:
    """The same by so many processes that answer texts."""
    progress.step("loading code")
    check_files(settings)
    from ..engine.worker.messages import Open
    from ..http.app import create_app
    from ..http.auth import Keyring
    from ..http.keys import Keys
    from .board import Board
    from .forking import Forker
    from .front import run_front
    from .fronts import Fronts
    from .messages import Begin
    from .processes import share_of
    from .run import run
    from .service import supervised

    share = share_of(settings, count, read_architecture(path).max_tokens)
    _allow_descriptors()
    board = Board(count)
    foreign = [each for each in (listeners.main, listeners.metrics) if each]
    keyring = Keyring(Keys.read(settings.api_keys), Keys.read(settings.admin_keys))
    forker = Forker(partial(run_front, board, keyring), foreign, settings.log_format)
    begin = Begin(Open(path, share), token_bytes(16), share)
    fronts = Fronts(count, forker, board, begin)
    try:
        opened = fronts.open(progress)
        inference = supervised(fronts, settings)
        by = f"{opened.device}, {opened.precision} by {opened.runner}, {count} processes"
        metrics_url = url_of(listeners.metrics) if listeners.metrics else None
        manifest = inference.services.service.manifest
        started = Started(manifest, by, url_of(listeners.main), metrics_url)
        app = create_app(inference, settings)
        progress.step("asking every student once")
        run(app, settings, listeners, lambda: announce(started), fronts)
    finally:
        fronts.kill_all()
        forker.close()


def _allow_descriptors() -> None:
    """All that this process and those it starts may have: each connection is one, or on its way
    two.
    """
    import resource  # not on Windows, where one process serves

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_files(settings: Settings) -> None:
    """Raises NestlingError for a file of keys or experiments that will not do, before the wait."""
    from ...experiments.loader import read
    from ..http.keys import Keys

    for file in (settings.api_keys, settings.admin_keys):
        Keys.read(file)
    if settings.experiments:
        read(settings.experiments)
