"""What an operator can choose. Each setting stands here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..models.cores import cores
from ..models.errors import NestlingError
from ..models.runners import RunnerName
from .option import option, options_of

OnViolation = Literal["alarm", "tighten", "ta"]
"""What is done once a promise is found broken, beside the alarm."""
MOST_PROCESSES = 256


@dataclass(frozen=True)
class Settings:
    """Settings of one server: flags of `nestling serve`, and environment variables.

    Raises NestlingError that names field, value and limit.
    """

    host: str = option("127.0.0.1", "Address to listen on.")
    port: int = option(8000, "Port to listen on; 0 takes a free one.", low=0, high=65535)
    metrics_port: int | None = option(
        None,
        "Port of its own for /metrics and /health, which needs no keys; 0 takes a free one.",
        low=0,
        high=65535,
    )
    device: str = option("auto", "cpu, cuda, cuda:N; auto is a GPU if there is one.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto",
        "To compute in; auto is float32, and on a GPU bfloat16 if the checkpoint is calibrated for "
        "it.",
    )
    runner: RunnerName = option(
        "auto",
        "What computes; auto is torch on a GPU, else onnx-int8 if the checkpoint is calibrated for "
        "it, else onnx.",
    )
    onnx_providers: str = option(
        "CPUExecutionProvider",
        "ONNX Runtime's execution providers, the preferred first, with commas.",
    )
    threads: int | None = option(
        None, "CPU threads of one operation; else all cores but one.", low=1, high=1024
    )
    processes: str = option(
        "auto",
        "Processes that answer texts, each with its own queue; auto is one per core on a CPU, and "
        "one on a GPU.",
    )
    max_batch_tokens: int = option(16384, "Tokens of one batch.", low=1, high=2**24)
    max_batch_requests: int = option(256, "Texts of one batch.", low=1, high=2**20)
    max_client_batch: int = option(1024, "Texts of one request.", low=1, high=2**20)
    max_text_chars: int | None = option(
        None,
        "Characters of one text; beyond, 422. Else 128 for each token that a text may have.",
        low=1,
        high=2**30,
    )
    max_queued_requests: int = option(
        8192, "Texts accepted and not yet answered; beyond, 429.", low=1, high=2**24
    )
    max_queued_tokens: int = option(2**20, "Tokens of those texts; beyond, 429.", low=1, high=2**32)
    fill_ms: float = option(
        2.0,
        "Age of the oldest text at which a batch that is not full leaves, while the engine is "
        "busy.",
        low=0,
        high=60_000,
    )
    target_delay_ms: float = option(
        250.0, "Predicted wait from which cascades are shortened; 0 never.", low=0, high=600_000
    )
    max_body_bytes: int = option(8 * 2**20, "Bytes of a request's body.", low=1, high=2**30)
    header_timeout: int = option(
        10, "Seconds until a request's headers are complete; beyond, 408.", low=1, high=86_400
    )
    body_timeout: int = option(
        30, "Seconds until its body is complete; beyond, 408.", low=1, high=86_400
    )
    write_timeout: int = option(
        30,
        "Seconds that a client may take to read its answer; beyond, it is cut off.",
        low=1,
        high=86_400,
    )
    idle_timeout: int = option(
        75, "Seconds that a connection may wait between requests.", low=1, high=86_400
    )
    shutdown_timeout: int = option(
        30, "Seconds that a stopping server waits for its last answers.", low=0, high=86_400
    )
    hang_seconds: float = option(
        60.0,
        "Seconds after which a batch that has not ended is given up, and asked again once.",
        low=0.1,
        high=86_400,
    )
    answer_cache: int = option(
        0,
        "Answers that are kept for texts that come again word for word; 0 none.",
        low=0,
        high=10_000_000,
    )
    shadow: float = option(
        0.0,
        "Share of the texts that all of their cascade are asked, when nobody waits.",
        low=0,
        high=1,
    )
    shadow_log: Path | None = option(
        None, "File that keeps what they answered, for nestling calibrate."
    )
    shadow_texts: bool = option(
        False, "Keep the texts there too, for nestling train --traffic; without it never a text."
    )
    on_violation: OnViolation = option(
        "alarm", "What follows once a cascade's promise is found broken."
    )
    log_format: Literal["text", "json"] = option("text", "Form of the log on stderr.")
    log_requests: bool = option(False, "Log a line per request, never with its text.")
    otlp_endpoint: str | None = option(
        None, "OpenTelemetry collector for traces, such as http://127.0.0.1:4318."
    )
    experiments: Path | None = option(
        None, "File that declares experiments, YAML or JSON; see docs/experiments.md."
    )
    store: str | None = option(
        None,
        "Database of experiments: sqlite:///FILE or postgresql://…; with --experiments, by default "
        "sqlite:///nestling.db.",
    )
    keep_days: int | None = option(
        None,
        "Days that its exposures and outcomes are kept; else for ever.",
        low=1,
        high=36500,
    )
    price_per_hour: float = option(
        0.0, "Of the device, in any currency, for the metrics of cost.", low=0, high=1_000_000_000
    )
    api_keys: Path | None = option(
        None, "File of keys (nestling key); without it everyone may ask."
    )
    admin_keys: Path | None = option(None, "File of keys for /admin; without it that is off.")

    def __post_init__(self) -> None:
        for declared in options_of(Settings):
            declared.check(getattr(self, declared.name))
        if self.processes != "auto" and not (
            self.processes.isdecimal() and 1 <= int(self.processes) <= MOST_PROCESSES
        ):
            raise NestlingError(
                f"processes: {self.processes!r} is neither auto nor a number from 1 to "
                f"{MOST_PROCESSES}"
            )
        if self.metrics_port and self.metrics_port == self.port:
            raise NestlingError(f"metrics_port: {self.metrics_port} is the value of port too")
        if self.otlp_endpoint and not self.otlp_endpoint.startswith(("http://", "https://")):
            raise NestlingError(f"otlp_endpoint: {self.otlp_endpoint!r} is no http or https URL")
        if self.shadow_log and not self.shadow:
            raise NestlingError("shadow_log: nothing is asked twice while shadow is 0")
        if self.shadow_texts and not self.shadow_log:
            raise NestlingError("shadow_texts: there is no shadow_log that could keep them")
        if self.on_violation != "alarm" and not self.shadow:
            raise NestlingError(
                f"on_violation: {self.on_violation} waits for ever, as nothing is watched while "
                "shadow is 0"
            )
        if self.keep_days and not self.database:
            raise NestlingError("keep_days: nothing is recorded without experiments or store")
        if self.runner.startswith("onnx") and self.dtype not in ("auto", "float32"):
            raise NestlingError(
                f"runner: {self.runner} does not go with dtype {self.dtype}; it takes float32"
            )
        if self.max_client_batch > self.max_queued_requests:
            raise NestlingError(
                f"max_client_batch: {self.max_client_batch} texts of one request would never fit "
                f"below max_queued_requests, which is {self.max_queued_requests}"
            )

    def pinning(self, runner: RunnerName) -> Settings:
        """Those of a runner that an experiment pins, in the precision that `precision.pinned` says:
        the dtype is that of torch alone.
        """
        as_served = runner == "torch" and not self.runner.startswith("onnx")
        return replace(self, runner=runner, dtype=self.dtype if as_served else "float32")

    @property
    def database(self) -> str | None:
        """URL of the record of experiments; None if none is kept."""
        return self.store or ("sqlite:///nestling.db" if self.experiments else None)

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's execution providers."""
        return tuple(name.strip() for name in self.onnx_providers.split(","))

    @property
    def cpu_threads(self) -> int:
        """Threads of one operation.

        One core stays free for HTTP and tokens: an operation waits for its slowest thread, and
        one that shares its core with the event loop is slow.
        """
        return self.threads or max(1, cores() - 1)

    @property
    def wanted_processes(self) -> int | None:
        """Of those that answer; None for what the machine suggests."""
        return None if self.processes == "auto" else int(self.processes)
