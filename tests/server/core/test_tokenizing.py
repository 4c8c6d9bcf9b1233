"""Turns at the tokenizer, on a tokenizer that the test holds in its hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from pathlib import Path
from threading import Event
from time import perf_counter

import pytest

import nestling.models
from nestling.models import Checkpoint
from nestling.models.inputs.tokenizer import TextTokenizer
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.load_control import LoadControl
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.core.tokenizing import SLICE, TOKENIZER_THREADS, Tokenizing
from nestling.server.errors import Reason, RequestError
from nestling.server.settings import Settings

from ..engine.test_engine import GatedRunner, run, until

SHIPPED = Path(nestling.models.__file__).parent / "zoo" / "clinc150" / "tokenizer.json"
LIMIT = 512


class GatedTokenizer:
    """Makes a token of each letter, once it may; notes what it has got."""

    def __init__(self) -> None:
        self.open = Event()
        self.open.set()
        self.slices: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.slices.append(list(texts))
        assert self.open.wait(timeout=30)
        return [[ord(letter) for letter in text.strip()] for text in texts]

    def encode_truncated(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        return [ids[:limit] for ids in self.encode(texts)]

    def is_empty(self, ids: Sequence[int]) -> bool:
        return not ids


def tokenizing(held: GatedTokenizer, max_chars: int | None = None) -> Tokenizing:
    return Tokenizing(held, LIMIT, max_chars)  # type: ignore[arg-type]


async def tokens(
    turns: Tokenizing,
    inputs: Inputs,
    truncate: bool = False,
    deadline: float = inf,
    load: LoadControl | None = None,
) -> list[list[int]]:
    """As the service has them made."""
    load = load or LoadControl(Settings())
    with load.admit(len(inputs), apart=True) as admission:
        return await turns.tokens(inputs, admission, truncate, deadline)


def many(letter: str, texts: int, characters: int) -> Inputs:
    """Texts that are a letter and blanks."""
    return Inputs([letter.ljust(characters)] * texts, single=False)


def test_two_requests_do_not_hold_the_threads() -> None:
    async def main() -> None:
        held = GatedTokenizer()
        held.open.clear()
        turns = tokenizing(held)
        large = [
            asyncio.ensure_future(tokens(turns, many(letter, 40, SLICE // 2))) for letter in "ab"
        ]
        await until(lambda: len(held.slices) == TOKENIZER_THREADS)
        small = asyncio.ensure_future(tokens(turns, many("c", 40, 40)))
        await asyncio.sleep(0)
        held.open.set()
        assert await small == [[ord("c")]] * 40
        first = next(i for i, texts in enumerate(held.slices) if texts[0].startswith("c"))
        # Those that ran, and what the two may have handed in before it.
        assert first <= 2 * TOKENIZER_THREADS
        for request, letter in zip(large, "ab", strict=True):
            assert await request == [[ord(letter)]] * 40
        assert max(sum(map(len, texts)) for texts in held.slices) <= SLICE
        turns.close()

    asyncio.run(main())


def test_a_deadline_ends_the_wait_for_the_tokenizer() -> None:
    async def main() -> None:
        held = GatedTokenizer()
        held.open.clear()
        turns = tokenizing(held)
        large = [asyncio.ensure_future(tokens(turns, many("a", 4, SLICE))) for _ in range(3)]
        await until(lambda: len(held.slices) == TOKENIZER_THREADS)
        with pytest.raises(RequestError, match="deadline_ms: passed while 40 of 40") as late:
            await tokens(turns, many("c", 40, 40), deadline=perf_counter() + 0.05)
        assert late.value.status == 504
        assert len(held.slices) == TOKENIZER_THREADS
        held.open.set()
        await asyncio.gather(*large)
        assert not any(texts[0].startswith("c") for texts in held.slices)
        turns.close()

    asyncio.run(main())


def test_who_leaves_takes_the_rest_along() -> None:
    async def main() -> None:
        held, load = GatedTokenizer(), LoadControl(Settings())
        held.open.clear()
        turns = tokenizing(held)
        gone = asyncio.ensure_future(tokens(turns, many("a", 50, SLICE), load=load))
        await until(lambda: len(held.slices) == 1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        held.open.set()
        assert await tokens(turns, many("b", 1, 1000)) == [[ord("b")]]
        assert [texts[0][0] for texts in held.slices] == ["a", "b"]
        assert set(load._inside.values()) == {0}
        turns.close()

    asyncio.run(main())


def test_what_waits_is_bounded_in_characters() -> None:
    async def main() -> None:
        held = GatedTokenizer()
        held.open.clear()
        turns = tokenizing(held)
        load = LoadControl(Settings(max_queued_tokens=100, max_body_bytes=50_000))
        as_much_as_a_body_has = many("a", 50, 1000)
        whole = asyncio.ensure_future(tokens(turns, as_much_as_a_body_has, load=load))
        await until(lambda: len(held.slices) == 1)
        with pytest.raises(RequestError, match="characters are waiting and 1000 more") as full:
            await tokens(turns, many("b", 1, 1000), load=load)
        assert full.value.status == 429
        held.open.set()
        assert len(await whole) == 50
        turns.close()

    asyncio.run(main())


def test_a_text_is_tokenised_once_and_no_more_of_it_than_may_be() -> None:
    async def main() -> None:
        held = GatedTokenizer()
        turns = tokenizing(held, max_chars=1000)
        texts = ["x" * 5000, "y" * 900, "z"]
        inputs = Inputs(texts, single=False)
        with pytest.raises(RequestError, match=r"inputs\[0\]: 5000 characters; the limit is 1000"):
            turns.check(inputs, truncate=False)
        turns.check(inputs, truncate=True)
        found = await tokens(turns, inputs, truncate=True)
        assert [len(ids) for ids in found] == [LIMIT, LIMIT, 1]
        assert [text for texts in held.slices for text in texts] == ["x" * 1000, "y" * 900, "z"]
        turns.close()

    asyncio.run(main())


def test_the_first_text_of_too_many_tokens_ends_it() -> None:
    async def main() -> None:
        held = GatedTokenizer()
        turns = tokenizing(held)
        inputs = Inputs(["y" * 600] * 1000, single=False)
        with pytest.raises(RequestError, match=r"inputs\[0\]: 600 tokens; the limit is 512"):
            await tokens(turns, inputs)
        assert len(held.slices) == 1
        assert turns.max_chars == 128 * LIMIT
        turns.close()

    asyncio.run(main())


def test_a_deadline_covers_the_tokens(calibrated: Checkpoint) -> None:
    """504 at the deadline, not 422 for what waiting has left of it."""

    async def scenario(service: Service, runner: GatedRunner) -> None:
        held = GatedTokenizer()
        held.open.clear()
        service.tokenizing = tokenizing(held)
        inputs = many("a", 40, 40)
        contract = RequestConstraints("tiny", deadline=perf_counter() + 0.1)
        with pytest.raises(RequestError) as late:
            await answer(service, inputs, contract)
        assert (late.value.reason, late.value.field) == (Reason.DEADLINE, "deadline_ms")
        held.open.set()
        service.durations.observe(["tiny"], 60)
        came = perf_counter() - 100  # it waited for long, and there was time enough
        soon = RequestConstraints("tiny", deadline=perf_counter() + 30, arrived=came)
        with pytest.raises(RequestError, match=r"too near, after .* ms of waiting") as late:
            await answer(service, inputs, soon)
        assert late.value.status == 504
        service.tokenizing.close()

    run(calibrated, scenario)


def test_the_shipped_tokenizer_truncates_as_it_encodes() -> None:
    tokenizer = TextTokenizer(SHIPPED)
    texts = ["how do i say goodbye in french", "caf\u00e9 " * 20, "\U0001f600", ""]
    whole = tokenizer.encode(texts)
    assert tokenizer.encode_truncated(texts, 512) == whole
    for limit in (3, 7, 12):
        for cut, ids in zip(tokenizer.encode_truncated(texts, limit), whole, strict=True):
            assert cut == (ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]])
    assert [tokenizer.is_empty(ids) for ids in whole] == [False, False, False, True]
    nothing = ["[SEP]", "[CLS] [PAD] [MASK]", "\u200b", "\u0301", " \ufe0f "]
    assert all(map(tokenizer.is_empty, tokenizer.encode(nothing)))
    assert all(map(tokenizer.is_empty, tokenizer.encode_truncated(["alarm"], 1)))
