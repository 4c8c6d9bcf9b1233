"""What the server spends around the model, of CPU time, part by part of the code.

    python -m benchmarks.server.around --data test.jsonl [--seconds 3] [--repeats 3]

The server's own connections, application, queue and engine in this process, over the shipped
checkpoint; but its runner says at once what was drawn beforehand, and there are no sockets. So what
is left is what a request costs in Python and the tokenizer, without the model and the kernel. 64
connections send single texts; then one sends lists of 256: asked of `tiny`, of `auto` (a seventh of
the texts go on at each stage), and for the scores of all labels. What threads beside the event
loop's have used is the tokenizer's; the event loop's thread is looked at by a timer of CPU time
(SIGPROF) in rounds of its own, and shared by the parts as their code was found innermost; a look
that finds no part's code counts for none. Garbage is left as a server under load leaves it. Prints
one JSON line; microseconds of CPU time per text, the median of the repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import signal
import time
from asyncio import Transport
from collections import Counter
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np
import uvloop
from numpy.typing import NDArray
from uvicorn.server import ServerState

from nestling.models.checkpoint.manifest import Manifest, read_manifest
from nestling.models.precision import Precision
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.server.build import assemble
from nestling.server.http.app import create_app
from nestling.server.http.connection.protocol import HttpConnection
from nestling.server.settings import Settings

from .serving import machine, single_texts

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
CONNECTIONS, LIST = 64, 256
LOADS = ("single", "tiny", "auto", "all labels")
WARM_UP = 0.5
PARTS = {
    "tokenizer": r"models/inputs/tokenizer",
    "queue and batch": r"server/engine/|models/runners/scheduled|models/cascade/|runners/base\.py",
    "connection": r"server/http/connection/",
    "answer": r"(classifications|_path_steps|_significant|ranked|probabilities|answer_headers"
    r"|json_response|rounded)\b",
    "metrics": r"server/telemetry/",
    "way in, body, checks": r"server/http/|starlette/|pydantic/",
    "inference, load control": r"server/core/|experiments/",
}
"""How frames of a part's code look, as `function file`; the first that fits counts."""


class Instant:
    """An executor that has drawn its answers: a seventh of the texts are passed on."""

    device, device_failures, alive = "cpu", 0, True
    precision: Precision = "float32"

    def __init__(self, manifest: Manifest, most: int = 4096) -> None:
        self.manifest = manifest
        rng = np.random.default_rng(0)
        labels = len(manifest.architecture.head().labels)
        self._labels = rng.integers(0, labels, most)
        self._sure, self._energies = rng.random((2, most), np.float32)
        self._accepts = rng.random(most) > 1 / 7
        self._inside = np.ones(most, np.bool_)
        self._logits = rng.normal(size=(most, labels)).astype(np.float32)

    def ask(self, batch: ForwardBatch) -> Awaitable[ForwardOutput]:
        """Slices of what was drawn."""
        of = slice(0, len(batch.lengths))
        answer: asyncio.Future[ForwardOutput] = asyncio.get_running_loop().create_future()
        answer.set_result(
            ForwardOutput(
                self._labels[of],
                self._sure[of],
                self._sure[of],
                self._accepts[of],
                self._energies[of],
                self._inside[of],
                self._logits[of],
                1e-3,
            )
        )
        return answer

    def embed(self, *_: object) -> Awaitable[NDArray[np.float32]]:
        """Nobody asks for it here."""
        raise NotImplementedError

    async def start(self) -> None:
        """There is nothing to start."""

    restart = stop = turn = start


class Client(Transport):
    """A connection's other end: it sends its next request once it has its answer."""

    def __init__(self, protocol: HttpConnection, requests: Iterator[bytes]) -> None:
        super().__init__()
        self._protocol, self._requests = protocol, requests
        self._loop = asyncio.get_running_loop()
        self.answers, self.stopped = 0, False
        self.last = b""
        protocol.connection_made(self)

    def send(self) -> None:
        """The next request, unless it is over."""
        if not self.stopped:
            self._protocol.data_received(next(self._requests))

    def write(self, data: Any) -> None:
        """The server's answer, always whole."""
        self.answers, self.last = self.answers + 1, data
        self._loop.call_soon(self.send)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Both ends are the same machine."""
        return ("127.0.0.1", 0)

    def is_closing(self) -> bool:
        """It stays."""
        return False

    def pause_reading(self) -> None:
        """There is no more than one request to read."""

    resume_reading = pause_reading


class Sampler:
    """How often each part's code was found to run, 250 times per second of CPU time."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, 4e-3, 4e-3)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        if part := part_of(frame):
            self.found[part] += 1


def part_of(frame: FrameType | None) -> str | None:
    """Whose code is innermost."""
    while frame is not None:
        place = f"{frame.f_code.co_qualname} {frame.f_code.co_filename}"
        for part, pattern in PARTS.items():
            if re.search(pattern, place):
                return part
        frame = frame.f_back
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    texts = single_texts(given.data)
    loads = uvloop.run(measured(texts, given.seconds, given.repeats))
    print(
        json.dumps(
            {
                "benchmark": "around",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.around --data test.jsonl",
                "seconds": given.seconds,
                "repeats": given.repeats,
                "connections": CONNECTIONS,
                "list": LIST,
                "us_per_text": loads,
            }
        )
    )


async def measured(texts: list[str], seconds: float, repeats: int) -> dict[str, Any]:
    """By load: the CPU time of a text, and of each part."""
    settings = Settings(target_delay_ms=0, port=0)
    executor = Instant(read_manifest(SHIPPED))
    inference = assemble(executor, settings, lambda *_: executor)
    dispatcher = create_app(inference, settings)
    await inference.start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    spent: dict[str, list[tuple[float, float]]] = {load: [] for load in LOADS}
    for _ in range(repeats):
        for load in LOADS:
            spent[load].append(await run(dispatcher, settings, load, texts, seconds))
    found = {}
    for load in LOADS:
        with Sampler() as sampler:
            await run(dispatcher, settings, load, texts, seconds)
        whole, beside = sorted(spent[load])[repeats // 2]
        share = (whole - beside) / sampler.found.total()
        parts = {part: share * count for part, count in sampler.found.items()}
        parts["tokenizer"] = parts.get("tokenizer", 0.0) + beside
        order = sorted(parts, key=lambda part: -parts[part])
        found[load] = {
            "all": round(whole, 1),
            "parts": {part: round(parts[part], 1) for part in order},
        }
    await inference.stop(1)
    return found


async def run(
    dispatcher: Any, settings: Settings, load: str, texts: list[str], seconds: float
) -> tuple[float, float]:
    """Microseconds of CPU time per text, and those of other threads than this one."""
    single = load == "single"
    state = ServerState()
    state.default_headers = [(b"date", b"Sat, 28 Nov 2026 12:00:00 GMT")]
    requests = cycle(bodies(load, texts))
    clients = [
        Client(
            HttpConnection(
                dispatcher, settings, config=cast(Any, None), server_state=state, app_state={}
            ),
            requests,
        )
        for _ in range(CONNECTIONS if single else 1)
    ]
    for client in clients:
        client.send()
    await asyncio.sleep(WARM_UP)
    before = sum(client.answers for client in clients)
    cpu, mine = time.process_time(), time.thread_time()
    await asyncio.sleep(seconds)
    cpu, mine = time.process_time() - cpu, time.thread_time() - mine
    texts_answered = sum(client.answers for client in clients) - before
    texts_answered *= 1 if single else LIST
    for client in clients:
        client.stopped = True
    await asyncio.sleep(0.2)
    for client in clients:
        client._protocol.connection_lost(None)
    status = clients[0].last.split(b"\r\n", 1)[0]
    if status != b"HTTP/1.1 200 OK":
        raise RuntimeError(clients[0].last.decode())
    return 1e6 * cpu / texts_answered, 1e6 * (cpu - mine) / texts_answered


def bodies(load: str, texts: list[str]) -> list[bytes]:
    """Requests, from head to end."""
    found: list[tuple[bytes, dict[str, Any]]]
    if load == "single":
        found = [(b"/v1/classify", {"inputs": text}) for text in texts]
    else:
        lists = [texts[at : at + LIST] for at in range(0, len(texts) - LIST, LIST)]
        if load == "all labels":
            found = [(b"/predict", {"inputs": [[text] for text in each]}) for each in lists]
        else:
            found = [(b"/v1/classify", {"inputs": each, "model": load}) for each in lists]
    return [framed(path, json.dumps(body).encode()) for path, body in found]


def framed(path: bytes, body: bytes) -> bytes:
    """One request of HTTP/1.1."""
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path, len(body), body)
    )


if __name__ == "__main__":
    main()
