"""A small HTTP server that is slow on purpose, in a thread of the test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from types import TracebackType
from typing import Any


class Stub:
    """Answers texts by their first word, as `/v1/classify` and `/predict` do; pairs by that of the
    second text.

    capacity: requests that are served at the same time; further ones wait. service: seconds of
    each. stall_after: requests after which everything stands still once, for `stall` seconds.
    wrong: every n-th answer has a wrong label, 0 for none. queue: requests that may wait; beyond,
    429. keep_alive: False closes after each answer. status: of every answer.
    """

    def __init__(
        self,
        service: float = 0.0,
        capacity: int = 1000,
        stall_after: int = 0,
        stall: float = 0.0,
        wrong: int = 0,
        queue: int = 10**6,
        keep_alive: bool = True,
        status: int = 200,
    ) -> None:
        self.service, self.capacity = service, capacity
        self.stall_after, self.stall = stall_after, stall
        self.wrong, self.queue = wrong, queue
        self.keep_alive, self.status = keep_alive, status
        self.seen: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._waiting = 0
        self._answered = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Stub:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._places = asyncio.Semaphore(self.capacity)
        self._open = asyncio.Event()
        self._open.set()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen["connections"] += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            self.seen["disconnected"] += 1
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split()[1]
        self.seen[path] += 1
        self.requests.append((path, headers, body))
        status, answer, more = await self._answer(path, body)
        data = json.dumps(answer).encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        close = "" if self.keep_alive else "connection: close\r\n"
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n{extra}{close}\r\n".encode()
            + data
        )
        await writer.drain()
        return self.keep_alive

    async def _answer(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if path == "/info":
            return 200, {"model_id": "stub"}, {}
        try:
            asked = json.loads(body)
        except ValueError:
            return 400, {"error": "no JSON"}, {}
        if self._waiting >= self.queue:
            return 429, {"error": "too many"}, {}
        self._waiting += 1
        try:
            async with self._places:
                await self._open.wait()
                await asyncio.sleep(self.service)
        finally:
            self._waiting -= 1
        self._answered += 1
        if self._answered == self.stall_after:
            self._open.clear()
            self._loop.call_later(self.stall, self._open.set)
        if self.status != 200:
            return self.status, {"error": "no"}, {}
        return self._labelled(path, asked)

    def _labelled(self, path: str, asked: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if path == "/predict":
            labels = [self._label(texts[-1]) for texts in asked["inputs"]]
            answer = [[{"score": 0.9, "label": label}] for label in labels]
            count = len(labels)
            headers = {
                "X-Nestling-Student": ",".join(["tiny"] * count),
                "X-Nestling-Cost": ",".join(["0.1"] * count),
            }
            return 200, answer, headers
        student = "ta" if asked["model"] == "ta" else "tiny"
        decision = {
            "student": student,
            "relative_cost": 1.0 if student == "ta" else 0.1,
            "device_seconds": 0.001,
            "brownout": 0,
        }
        return (
            200,
            [{"label": self._label(text), "decision": decision} for text in asked["inputs"]],
            {},
        )

    def _label(self, text: str | dict[str, str]) -> str:
        self.seen["texts"] += 1
        if isinstance(text, dict):
            text = text["text_pair"]
        if self.wrong and self.seen["texts"] % self.wrong == 0:
            return "wrong"
        return text.split()[0]
