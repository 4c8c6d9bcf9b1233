"""Times functions side by side on a device, each with cold inputs.

A call is a function of the index of a copy: of copies of the same inputs and weights, of which each
call takes the next. On CUDA, CALLS of them are captured in one graph, whose replay is timed by
events and divided by their number: so neither the launches by the host nor the events' own time
count. Before each replay a buffer several times as large as the L2 is read. Reading leaves nothing
to be written back, as a buffer that was filled would, whose write-back is then timed with the call.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from .devices import stream_on, timing_event

Call = Callable[[int], object]
CALLS = 20
"""Of a function in one graph, so that what a replay itself takes is divided by as many."""
SWEPT = 512 * 2**20
"""Bytes read before a replay, at least: long enough, too, for the host to submit the replay."""


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the median of all replays, the shortest and the longest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        return cls(statistics.median(seconds), min(seconds), max(seconds))


@dataclass(frozen=True)
class Timed:
    """timings: by name. errors: of those functions that could not be run or captured."""

    timings: dict[str, Timing]
    errors: dict[str, str]

    def seconds(self, name: str) -> float:
        """The median. Raises RuntimeError with its error for one that could not be timed."""
        if name in self.errors:
            raise RuntimeError(f"{name}: {self.errors[name]}")
        return self.timings[name].median

    def fastest(self, *names: str) -> str:
        """Who has the least median of these, of those that could be timed.

        Raises RuntimeError if none could.
        """
        timed = [name for name in names if name in self.timings]
        if not timed:
            raise RuntimeError("; ".join(f"{n}: {self.errors[n]}" for n in names))
        return min(timed, key=lambda name: self.timings[name].median)

    def as_json(self) -> dict[str, Any]:
        """Seconds by name; errors only where there are any."""
        found: dict[str, Any] = {
            "seconds": {
                name: {"median": t.median, "least": t.least, "most": t.most}
                for name, t in self.timings.items()
            }
        }
        return found | ({"errors": self.errors} if self.errors else {})


class Clock:
    """Alternating replays, the same number of each.

    On a CPU, where only a rehearsal comes, it is a plain clock around a few calls.
    """

    def __init__(self, device: torch.device, repeats: int = 15, calls: int = CALLS) -> None:
        self.device, self._repeats, self._calls = device, repeats, calls
        self._cuda = device.type == "cuda"
        self.l2 = 0
        if self._cuda:
            torch.cuda.set_device(device)
            self.l2 = torch.cuda.get_device_properties(device).L2_cache_size
            self._stream = stream_on(device)
            self._swept = torch.zeros(
                max(SWEPT, 4 * self.l2) // 4, dtype=torch.float32, device=device
            )
            self._sum = torch.empty((), dtype=torch.float32, device=device)

    def copies(self, size: int) -> int:
        """How many copies to make of what a call reads and writes, of `size` bytes.

        As many as exceed twice the L2, and no more than there are calls in a graph: with those,
        each call has its own, and what was read before the replay has driven all of them out.
        """
        if not self._cuda:
            return 2
        return min(self._calls, 1 + -(-2 * self.l2 // max(1, size)))

    def compare(self, runs: Mapping[str, Call], copies: int = 1) -> Timed:
        """Time each of these, in turns. copies: of their inputs, from which calls take turns."""
        prepared: dict[str, Callable[[], object]] = {}
        errors = {}
        for name, run in runs.items():
            try:
                prepared[name] = self._prepared(run, copies)
            except Exception as error:  # a rival that fails costs its own number alone
                errors[name] = f"{type(error).__name__}: {error}"[:1000]
                self._check_alive()
        return Timed(
            {name: Timing.of(taken) for name, taken in self._taken(prepared).items()}, errors
        )

    def back_to_back(self, runs: Mapping[str, Callable[[], object]]) -> Timed:
        """The same without graphs and with warm inputs: launched by the host one after the other,
        as a server does, with a wait for the last.
        """
        timings, errors = {}, {}
        for name, run in runs.items():
            try:
                run()
                run()
                timings[name] = Timing.of([self._launched(run) for _ in range(self._repeats)])
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {error}"[:1000]
                self._check_alive()
        return Timed(timings, errors)

    def _launched(self, run: Callable[[], object]) -> float:
        self._wait()
        started = time.perf_counter()
        for _ in range(self._calls):
            run()
        self._wait()
        return (time.perf_counter() - started) / self._calls

    def _prepared(self, run: Call, copies: int) -> Callable[[], object]:
        """All calls in one: on CUDA a graph's replay, which can be captured and replayed."""
        if not self._cuda:
            run(0)
            return partial(self._plainly, run, copies)
        # A capture that fails leaves its stream behind as the current one: this puts it back.
        with torch.cuda.stream(torch.cuda.current_stream(self.device)):
            return self._captured(run, copies)

    def _captured(self, run: Call, copies: int) -> Callable[[], object]:
        """What the calls return is kept until the end, so that they do not all write to one place
        that never leaves the L2.
        """
        torch.cuda.synchronize(self.device)
        with torch.cuda.stream(self._stream):
            for index in range(min(2, copies)):  # compiles; libraries take their working memory
                run(index)
        torch.cuda.synchronize(self.device)
        kept: deque[object] = deque(maxlen=copies)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            for call in range(self._calls):
                kept.append(run(call % copies))
        graph.replay()
        torch.cuda.synchronize(self.device)
        return graph.replay

    def _plainly(self, run: Call, copies: int) -> None:
        for call in range(self._calls):
            run(call % copies)

    def _taken(self, prepared: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
        """Seconds per call of each replay."""
        if not self._cuda:
            taken: dict[str, list[float]] = {name: [] for name in prepared}
            for _ in range(self._repeats):
                for name, replay in prepared.items():
                    started = time.perf_counter()
                    replay()
                    taken[name].append((time.perf_counter() - started) / self._calls)
            return taken
        marks: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {
            name: [] for name in prepared
        }
        for _ in range(self._repeats):
            for name, replay in prepared.items():
                before = timing_event()
                after = timing_event()
                torch.sum(self._swept, dim=0, out=self._sum)
                before.record()
                replay()
                after.record()
                marks[name].append((before, after))
            torch.cuda.synchronize(self.device)
        return {
            name: [before.elapsed_time(after) / 1e3 / self._calls for before, after in pairs]
            for name, pairs in marks.items()
        }

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize(self.device)

    def _check_alive(self) -> None:
        """Raises what CUDA says if its context is lost: nothing that follows would be measured."""
        self._wait()
