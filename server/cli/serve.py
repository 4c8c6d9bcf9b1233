"""`nestling serve`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..settings import DTYPES, LOG_FORMATS, RUNNERS, Settings

if TYPE_CHECKING:
    from ...models.manifest import Manifest

SHIPPED = "clinc150"
"""The checkpoint that comes with the package."""


def serve(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            help="Checkpoint directory or Hub id; without it, the one that ships with Nestling.",
            envvar="NESTLING_CHECKPOINT",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on.", envvar="NESTLING_HOST")
    ] = Settings.host,
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", envvar="NESTLING_PORT")
    ] = Settings.port,
    device: Annotated[
        str,
        typer.Option(help="cpu, cuda, cuda:N; auto is a GPU if any.", envvar="NESTLING_DEVICE"),
    ] = Settings.device,
    dtype: Annotated[
        str,
        typer.Option(help=f"To compute in: {', '.join(DTYPES)}.", envvar="NESTLING_DTYPE"),
    ] = Settings.dtype,
    runner: Annotated[
        str,
        typer.Option(help=f"What computes: {', '.join(RUNNERS)}.", envvar="NESTLING_RUNNER"),
    ] = Settings.runner,
    onnx_providers: Annotated[
        str,
        typer.Option(
            help="ONNX Runtime's execution providers, the preferred first, with commas.",
            envvar="NESTLING_ONNX_PROVIDERS",
        ),
    ] = Settings.onnx_providers,
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads of one operation; else all cores but one.", envvar="NESTLING_THREADS"
        ),
    ] = Settings.threads,
    max_batch_tokens: Annotated[
        int, typer.Option(help="Tokens of one batch.", envvar="NESTLING_MAX_BATCH_TOKENS")
    ] = Settings.max_batch_tokens,
    max_batch_requests: Annotated[
        int, typer.Option(help="Texts of one batch.", envvar="NESTLING_MAX_BATCH_REQUESTS")
    ] = Settings.max_batch_requests,
    max_client_batch: Annotated[
        int, typer.Option(help="Texts of one request.", envvar="NESTLING_MAX_CLIENT_BATCH")
    ] = Settings.max_client_batch,
    max_queued_requests: Annotated[
        int,
        typer.Option(
            help="Texts accepted and not yet answered; beyond, 429.",
            envvar="NESTLING_MAX_QUEUED_REQUESTS",
        ),
    ] = Settings.max_queued_requests,
    max_queued_tokens: Annotated[
        int,
        typer.Option(
            help="Tokens of those texts; beyond, 429.", envvar="NESTLING_MAX_QUEUED_TOKENS"
        ),
    ] = Settings.max_queued_tokens,
    fill_ms: Annotated[
        float,
        typer.Option(
            help="Age of the oldest text at which a batch that is not full leaves, under load.",
            envvar="NESTLING_FILL_MS",
        ),
    ] = Settings.fill_ms,
    target_delay_ms: Annotated[
        float,
        typer.Option(
            help="Predicted wait from which cascades are shortened; 0 never.",
            envvar="NESTLING_TARGET_DELAY_MS",
        ),
    ] = Settings.target_delay_ms,
    max_body_bytes: Annotated[
        int, typer.Option(help="Bytes of a request's body.", envvar="NESTLING_MAX_BODY_BYTES")
    ] = Settings.max_body_bytes,
    shutdown_timeout: Annotated[
        int,
        typer.Option(
            help="How long SIGTERM waits for the last answers.", envvar="NESTLING_SHUTDOWN_TIMEOUT"
        ),
    ] = Settings.shutdown_timeout,
    hang_seconds: Annotated[
        float,
        typer.Option(
            help="After which a batch that has not ended is given up, and asked again once.",
            envvar="NESTLING_HANG_SECONDS",
        ),
    ] = Settings.hang_seconds,
    shadow: Annotated[
        float,
        typer.Option(
            help="Share of the texts that all of their cascade are asked, when nobody waits.",
            envvar="NESTLING_SHADOW",
        ),
    ] = Settings.shadow,
    shadow_log: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps what they answered, for `nestling calibrate`; never a text.",
            envvar="NESTLING_SHADOW_LOG",
        ),
    ] = Settings.shadow_log,
    log_format: Annotated[
        str,
        typer.Option(help=f"Of the log: {' or '.join(LOG_FORMATS)}.", envvar="NESTLING_LOG_FORMAT"),
    ] = Settings.log_format,
    log_requests: Annotated[
        bool,
        typer.Option(
            "--log-requests",
            help="Log a line per request, never with its text.",
            envvar="NESTLING_LOG_REQUESTS",
        ),
    ] = Settings.log_requests,
    price_per_hour: Annotated[
        float,
        typer.Option(
            help="Of the device, in any currency, for the metrics of cost.",
            envvar="NESTLING_PRICE_PER_HOUR",
        ),
    ] = Settings.price_per_hour,
    api_keys: Annotated[
        Path | None,
        typer.Option(
            help="File of keys (`nestling key`); without it everyone may ask.",
            envvar="NESTLING_API_KEYS",
        ),
    ] = Settings.api_keys,
    admin_keys: Annotated[
        Path | None,
        typer.Option(
            help="File of keys for /admin; without it that is off.",
            envvar="NESTLING_ADMIN_KEYS",
        ),
    ] = Settings.admin_keys,
) -> None:
    """Serve a checkpoint over HTTP."""
    start(
        checkpoint,
        Settings(
            host=host,
            port=port,
            max_batch_tokens=max_batch_tokens,
            max_batch_requests=max_batch_requests,
            max_client_batch=max_client_batch,
            max_queued_requests=max_queued_requests,
            max_queued_tokens=max_queued_tokens,
            fill_ms=fill_ms,
            target_delay_ms=target_delay_ms,
            max_body_bytes=max_body_bytes,
            device=device,
            dtype=dtype,
            runner=runner,
            onnx_providers=onnx_providers,
            threads=threads,
            shutdown_timeout=shutdown_timeout,
            hang_seconds=hang_seconds,
            shadow=shadow,
            shadow_log=shadow_log,
            log_format=log_format,
            log_requests=log_requests,
            price_per_hour=price_per_hour,
            api_keys=api_keys,
            admin_keys=admin_keys,
        ),
    )


def start(name: str | None, settings: Settings) -> None:
    """Load, serve, and return once stopped. Raises NestlingError for what the user can mend."""
    from ..engine.worker.launch import Launched
    from ..run import bind, run, url_of
    from ..telemetry.requests import configure_logging

    configure_logging(settings.log_format)
    title, path = Path(name or SHIPPED).resolve().name, _locate(name)
    with bind(settings) as listener:
        launched = Launched.now()
        from ..app import create_app  # which takes as long as the worker's own imports
        from ..engine.worker.process import Worker

        worker = Worker(path, settings, launched)
        worker.ready()
        where = worker.device if worker.runner == "torch" else f"{worker.device}, {worker.runner}"

        def announce() -> None:
            print(_greeting(title, worker.manifest, url_of(listener), where), flush=True)

        def load(another: Path | None) -> Worker:
            fresh = Worker(another or path, settings)
            fresh.ready()
            return fresh

        run(create_app(worker, settings, load), settings, listener, announce)


def _locate(name: str | None) -> Path:
    if name is None:
        return Path(str(files("nestling.models") / "zoo" / SHIPPED))
    if Path(name).is_dir():
        return Path(name)
    from ...models.pretrained import find  # imports the Hub's client, which a directory never needs

    return find(name)


def _greeting(title: str, checkpoint: Manifest, url: str, where: str) -> str:
    example = '{"inputs": "how do i say goodbye in french"}'
    return (
        f"Nestling serves {title} ({len(checkpoint.students)} students, "
        f"{len(checkpoint.architecture.labels)} labels, {where}) at {url}. Try:\n"
        f"  curl {url}/v1/classify -d '{example}'"
    )
