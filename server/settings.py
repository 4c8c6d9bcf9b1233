"""What an operator can choose. Every default stands here and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..models.errors import NestlingError

DTYPES = ("float32", "bfloat16", "float16")
LOG_FORMATS = ("text", "json")
RUNNERS = ("auto", "torch", "onnx", "onnx-int8")
_SMALLEST = {
    "port": 0,
    "max_batch_tokens": 1,
    "max_batch_requests": 1,
    "max_client_batch": 1,
    "max_queued_requests": 1,
    "max_queued_tokens": 1,
    "fill_ms": 0,
    "target_delay_ms": 0,
    "max_body_bytes": 1,
    "shutdown_timeout": 0,
    "hang_seconds": 0,
    "price_per_hour": 0,
}


@dataclass(frozen=True)
class Settings:
    """Settings of one server. Raises NestlingError that names field, value and limit.

    port: 0 takes a free one. max_batch_tokens, max_batch_requests: tokens and texts that one
    batch may hold. max_client_batch: texts of one request. max_queued_requests: texts that are
    accepted and not yet answered, max_queued_tokens: their tokens; what comes beyond is told to
    come back later. fill_ms: how old the oldest text must be before a batch that is not full
    leaves, while the engine is busy. target_delay_ms: predicted wait from which cascades are
    shortened; 0 never shortens them.
    device: `auto` is the GPU where there is one. runner: what computes; `auto` compares torch and
    ONNX Runtime at start. onnx_providers: names with commas, the preferred first. threads: of one
    operation on the CPU; None takes all cores but one. shutdown_timeout: how long a stopping
    server waits for its last answers, in seconds.
    hang_seconds: after which a batch that has not ended is given up, and asked again once.
    shadow: share of the texts that all of their cascade are asked, when nobody waits, 0 to 1.
    shadow_log: file that keeps what they answered, for `nestling calibrate`; never a text.
    log_format: `text` or `json`. log_requests: a line per request, never with its text.
    price_per_hour: of the device, in any currency, for the metrics of cost.
    api_keys, admin_keys: files of keys for those who ask and those who administer; without the
    first everyone may ask, without the second nobody administers.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_batch_tokens: int = 16384
    max_batch_requests: int = 256
    max_client_batch: int = 1024
    max_queued_requests: int = 8192
    max_queued_tokens: int = 2**20
    fill_ms: float = 2.0
    target_delay_ms: float = 250.0
    max_body_bytes: int = 8 * 2**20
    device: str = "auto"
    dtype: str = "float32"
    runner: str = "torch"
    onnx_providers: str = "CPUExecutionProvider"
    threads: int | None = None
    shutdown_timeout: int = 30
    hang_seconds: float = 60.0
    shadow: float = 0.0
    shadow_log: Path | None = None
    log_format: str = "text"
    log_requests: bool = False
    price_per_hour: float = 0.0
    api_keys: Path | None = None
    admin_keys: Path | None = None

    def __post_init__(self) -> None:
        for field, low in _SMALLEST.items():
            if getattr(self, field) < low:
                raise NestlingError(f"{field}: {getattr(self, field)} is below {low}")
        if self.dtype not in DTYPES:
            raise NestlingError(f"dtype: {self.dtype!r} is none of {', '.join(DTYPES)}")
        if self.runner not in RUNNERS:
            raise NestlingError(f"runner: {self.runner!r} is none of {', '.join(RUNNERS)}")
        if self.runner.startswith("onnx") and self.dtype != "float32":
            raise NestlingError(
                f"runner: {self.runner} does not go with dtype {self.dtype}; it takes float32"
            )
        if not 0 <= self.shadow <= 1:
            raise NestlingError(f"shadow: {self.shadow} is not between 0 and 1")
        if self.shadow_log and not self.shadow:
            raise NestlingError("shadow_log: nothing is asked twice while shadow is 0")
        if self.log_format not in LOG_FORMATS:
            raise NestlingError(
                f"log_format: {self.log_format!r} is none of {', '.join(LOG_FORMATS)}"
            )
        if self.port > 65535:
            raise NestlingError(f"port: {self.port} is above 65535")
        if self.threads is not None and self.threads < 1:
            raise NestlingError(f"threads: {self.threads} is below 1")
        if self.max_client_batch > self.max_queued_requests:
            raise NestlingError(
                f"max_client_batch: {self.max_client_batch} texts of one request would never fit "
                f"below max_queued_requests, which is {self.max_queued_requests}"
            )

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
        return self.threads or max(1, _cores() - 1)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
