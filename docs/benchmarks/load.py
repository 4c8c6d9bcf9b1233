"""Load for the benchmarks of the server: light clients, one text per request.

Not a benchmark itself. The clients share the machine with the server, so they do as little as they
can: bytes made beforehand, answers read by position.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast

import uvloop

CONNECTIONS = 256
"""Of one client process; who finds none free does not send."""


@dataclass(frozen=True)
class Text:
    """A text's label, and the request that asks for it."""

    label: str
    request: bytes


@dataclass(frozen=True)
class Answer:
    """seconds: since the moment at which the text was to be sent. brownout: level; 0 is none."""

    seconds: float
    status: int
    right: bool
    brownout: int


@dataclass(frozen=True)
class Sent:
    """What one client process saw. lag: by how many seconds it was late, at worst."""

    answers: list[Answer]
    lag: float
    unsent: int


def read_texts(path: Path) -> list[Text]:
    """Labelled texts, as JSON lines of `text` and `label`."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    texts = []
    for row in rows:
        body = json.dumps({"inputs": row["text"]}).encode()
        head = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        texts.append(Text(row["label"], head + body))
    return texts


def machine() -> dict[str, object]:
    """What every benchmark says of where it ran."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("nestling", "torch")},
    }


class Server:
    """A command that announces its URL; stopped by SIGTERM."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        greeting = self.process.stdout.readline()
        found = re.search(r"http://\S+:(\d+)", greeting)
        assert found, greeting
        self.port = int(found[1])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def nestling(checkpoint: str, *flags: str) -> Server:
    """`nestling serve` on a free port."""
    return Server("-m", "nestling.server.cli", "serve", checkpoint, "--port", "0", *flags)


class _Connection(asyncio.Protocol):
    """HTTP/1.1, kept alive, one request at a time."""

    _transport: asyncio.Transport
    _answer: asyncio.Future[tuple[int, bytes]]

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if (waiting := getattr(self, "_answer", None)) and not waiting.done():
            waiting.set_exception(exc or ConnectionResetError())

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._received.find(b"content-length: ") + 16
        length = int(self._received[at : self._received.find(b"\r", at)])
        if len(self._received) < head + 4 + length:
            return
        status, body = int(self._received[9:12]), self._received[head + 4 :]
        self._received = b""
        self._answer.set_result((status, body))


async def _connect(port: int, count: int) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        made.append((await loop.create_connection(_Connection, "127.0.0.1", port))[1])
    return made


def _judge(text: Text, status: int, body: bytes, seconds: float) -> Answer:
    if status != 200:
        return Answer(seconds, status, False, 0)
    label = json.dumps({"label": text.label}, separators=(",", ":"), ensure_ascii=False)
    at = body.find(b'"brownout":') + 11
    return Answer(seconds, status, body.startswith(label[:-1].encode()), int(body[at : at + 1]))


def closed_loop(port: int, texts: Sequence[Text], clients: int, seconds: float) -> list[Answer]:
    """Clients that send their next text as soon as they have an answer."""

    async def run() -> list[Answer]:
        answers = []

        async def client(connection: _Connection, seed: int) -> None:
            rng = random.Random(seed)
            while (sent := time.perf_counter()) < until:
                text = rng.choice(texts)
                status, body = await connection.ask(text.request)
                answers.append(_judge(text, status, body, time.perf_counter() - sent))

        connections = await _connect(port, clients)
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(c, seed) for seed, c in enumerate(connections)))
        return answers

    return uvloop.run(run())


def open_loop(
    port: int, texts: Sequence[Text], rate: float, seconds: float, processes: int
) -> list[Sent]:
    """Texts at random moments, `rate` per second in all, whether or not answers come."""
    jobs = [(port, texts, rate / processes, seconds, seed) for seed in range(processes)]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_open_loop, jobs))


def _open_loop(job: tuple[int, Sequence[Text], float, float, int]) -> Sent:
    return uvloop.run(_send(*job))


async def _send(port: int, texts: Sequence[Text], rate: float, seconds: float, seed: int) -> Sent:
    rng = random.Random(seed)
    free = deque(await _connect(port, CONNECTIONS))
    answers: list[Answer] = []
    lag, unsent, under_way = 0.0, 0, 0

    def ask(text: Text, due: float) -> None:
        nonlocal under_way
        connection = free.popleft()
        under_way += 1

        def done(answer: asyncio.Future[tuple[int, bytes]]) -> None:
            nonlocal under_way
            under_way -= 1
            free.append(connection)
            answers.append(_judge(text, *answer.result(), time.perf_counter() - due))

        connection.ask(text.request).add_done_callback(done)

    due = time.perf_counter() + 0.2
    end = due + seconds
    while due < end:
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        lag = max(lag, time.perf_counter() - due)
        if free:
            ask(rng.choice(texts), due)
        else:
            unsent += 1  # as a client does that has no connection left
            await asyncio.sleep(0)
        due += rng.expovariate(rate)
    while under_way:
        await asyncio.sleep(0.01)
    return Sent(answers, lag, unsent)


def quantiles_ms(answers: Sequence[Answer]) -> dict[str, float]:
    """p50, p95, p99 of the latency, in milliseconds."""
    latencies = sorted(answer.seconds for answer in answers)
    last = len(latencies) - 1
    return {
        f"p{q}": round(1e3 * latencies[min(last, len(latencies) * q // 100)], 2)
        for q in (50, 95, 99)
    }
