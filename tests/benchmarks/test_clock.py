"""The clock of the measurements, on a card that only writes down what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.kernels import clock as clocks
from benchmarks.kernels.cells import linear
from benchmarks.kernels.clock import CALLS, SWEPT, Clock


class Card:
    """Stands for torch. asked: in its order, what a stream would be given."""

    float32 = torch.float32

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.current = "default"
        self.fails = False
        self.cuda = SimpleNamespace(
            set_device=lambda device: None,
            get_device_properties=lambda device: SimpleNamespace(L2_cache_size=60 * 2**20),
            synchronize=lambda device: self.asked.append("wait"),
            current_stream=lambda device: self.current,
            stream=self.stream,
            CUDAGraph=lambda: SimpleNamespace(replay=lambda: self.asked.append("replay")),
            graph=self.graph,
        )

    def zeros(self, size: int, **_: Any) -> str:
        assert 4 * size >= SWEPT
        return "swept"

    def empty(self, *_: Any, **__: Any) -> str:
        return "sum"

    def sum(self, swept: str, **_: Any) -> None:
        self.asked.append("sweep")

    @contextmanager
    def stream(self, stream: str) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: Any, stream: str, capture_error_mode: str) -> Iterator[None]:
        """As torch's: a capture that fails leaves its stream behind."""
        self.current = stream
        self.asked.append("capture")
        yield
        self.current = "default"
        self.asked.append("captured")


class Event:
    def __init__(self, card: Card) -> None:
        self.card = card

    def record(self) -> None:
        self.card.asked.append("event")

    def elapsed_time(self, end: Event) -> float:
        return 40.0


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    monkeypatch.setattr(clocks, "torch", card)
    monkeypatch.setattr(clocks, "stream_on", lambda device: "its own")
    monkeypatch.setattr(clocks, "timing_event", lambda: Event(card))
    return card


def test_calls_are_captured_over_rotating_copies_and_replays_alternate(card: Card) -> None:
    clock = Clock(torch.device("cuda", 0), repeats=2)

    def run(name: str) -> Any:
        return lambda i: card.asked.append(f"{name}{i} on {card.current}")

    timed = clock.compare({"a": run("a"), "b": run("b")}, copies=3)
    captured = ["wait", "a0 on its own", "a1 on its own", "wait", "capture"]
    captured += [f"a{i % 3} on its own" for i in range(CALLS)] + ["captured", "replay", "wait"]
    assert card.asked[: len(captured)] == captured
    once = ["sweep", "event", "replay", "event"]
    assert card.asked[-2 * (2 * len(once) + 1) :] == 2 * [*once, *once, "wait"]
    assert timed.seconds("a") == pytest.approx(40e-3 / CALLS)


def test_one_that_fails_costs_its_own_number_alone(card: Card) -> None:
    clock = Clock(torch.device("cuda", 0), repeats=1)

    def broken(i: int) -> None:
        if "capture" in card.asked:
            raise ValueError("not while a graph is captured")

    timed = clock.compare({"broken": broken, "right": lambda i: None})
    assert timed.errors == {"broken": "ValueError: not while a graph is captured"}
    assert set(timed.timings) == {"right"}
    assert card.current == "default"
    with pytest.raises(RuntimeError, match="broken: ValueError"):
        timed.seconds("broken")


def test_copies_exceed_twice_the_l2_or_give_each_call_its_own(card: Card) -> None:
    clock = Clock(torch.device("cuda", 0))
    l2 = 60 * 2**20
    assert clock.copies(1000) == CALLS
    for size in (l2 // 4, l2, 5 * l2):
        assert (clock.copies(size) - 1) * size >= 2 * l2


def test_streams_fork_from_the_current_one_and_join_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: Stream) -> None:
            asked.append(f"{self.name} waits for {other.name}")

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        asked.append(f"on {stream.name}")
        yield

    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream("current"))
    monkeypatch.setattr(torch.cuda, "stream", on)
    pieces = [lambda: asked.append("first"), lambda: asked.append("second")]
    linear.forked([Stream("a"), Stream("b")], pieces)  # type: ignore[list-item]
    assert asked == [
        "a waits for current", "b waits for current",
        "on a", "first", "on b", "second",
        "current waits for a", "current waits for b",
    ]  # fmt: skip
