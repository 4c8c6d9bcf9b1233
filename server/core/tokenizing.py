"""From texts to tokens: within limits, in turns, and never longer than somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import perf_counter

from ...models.inputs.text import Text, beginning, lengths, parts
from ...models.inputs.tokenizer import CHARACTERS_PER_TOKEN, TextTokenizer
from ..errors import Reason, RequestError
from .load_control import Admission
from .requests import Inputs

TOKENIZER_THREADS = 2
SHORT = 512
"""Characters that are tokenised at once: to hand them to a thread takes longer."""
SLICE = 16_384
"""Characters of one request that are tokenised before another has its turn: some 10 ms of work. A
text is never cut for it."""


class Tokenizing:
    """Tokenises the texts of many requests, a slice of each in turn.

    limit: tokens of a text, special tokens included. max_chars: characters of one; None for
    CHARACTERS_PER_TOKEN of each token. Belongs to the event loop.
    """

    def __init__(self, tokenizer: TextTokenizer, limit: int, max_chars: int | None) -> None:
        self._tokenizer, self._limit = tokenizer, limit
        self.max_chars = max_chars or CHARACTERS_PER_TOKEN * limit
        self._threads = ThreadPoolExecutor(TOKENIZER_THREADS, "tokenizer")

    def close(self) -> None:
        """Finish the slices that are under way; call it once nobody waits for any."""
        self._threads.shutdown()

    def check(self, inputs: Inputs, truncate: bool) -> None:
        """Before any work. Raises RequestError for a text with too many characters.

        truncate: the beginning of such a text is what is asked for.
        """
        if truncate:
            return
        if max(lengths(inputs.texts), default=0) <= self.max_chars:
            return
        for index, text in enumerate(inputs.texts):
            length = max(map(len, parts(text)))  # of a pair, each has the limit
            if length > self.max_chars:
                raise RequestError(
                    Reason.TOO_LONG,
                    f"{length} characters; the limit is {self.max_chars}",
                    inputs.field(index),
                    limit=self.max_chars,
                    actual=length,
                )

    async def tokens(
        self,
        inputs: Inputs,
        admission: Admission,
        truncate: bool = False,
        deadline: float = inf,
    ) -> list[list[int]]:
        """Token ids of each text, which `check` has let pass; those that came as ids stay as such.

        admission: counts the characters that wait for a thread, until it is closed at the latest.
        truncate: cut a text to the limit of characters, then of tokens. deadline: on
        `perf_counter`'s clock. Cancelling this leaves undone what no thread has begun. Raises
        RequestError: a text of too many tokens, or of which nothing is left; too many characters
        that wait; the deadline.
        """
        if inputs.tokens is not None:
            for index, ids in enumerate(inputs.tokens):
                self._check_tokens(inputs, index, ids)
            return inputs.tokens
        texts = inputs.texts
        if truncate:
            texts = [beginning(text, self.max_chars) for text in texts]
        sizes = lengths(texts)
        if sum(sizes) <= SHORT:
            return self._checked(inputs, 0, self._encode(texts, truncate))
        found: list[list[int]] = []
        loop = asyncio.get_running_loop()
        admission.characters(sum(sizes))
        try:
            async with asyncio.timeout(None if deadline == inf else deadline - perf_counter()):
                for part in _slices(sizes):
                    # The threads' queue is first come, first served: whoever else waits is next.
                    encoded = await loop.run_in_executor(
                        self._threads, self._encode, texts[part], truncate
                    )
                    found += self._checked(inputs, len(found), encoded)
                    admission.tokenized(sum(sizes[part]))
        except TimeoutError:
            raise RequestError(
                Reason.DEADLINE,
                f"passed while {len(texts) - len(found)} of {len(texts)} texts waited to be "
                "tokenised",
                "deadline_ms",
            ) from None
        return found

    def _encode(self, texts: Sequence[Text], truncate: bool) -> list[list[int]]:
        if truncate:
            return self._tokenizer.encode_truncated(texts, self._limit)
        return self._tokenizer.encode(texts)

    def _checked(self, inputs: Inputs, first: int, encoded: list[list[int]]) -> list[list[int]]:
        """The same ids; `first` is the number of the first text of them."""
        limit, is_empty = self._limit, self._tokenizer.is_empty
        for index, ids in enumerate(encoded, start=first):
            if is_empty(ids):
                cut = max(map(len, parts(inputs.texts[index]))) > self.max_chars
                of = f"the first {self.max_chars} characters of it" if cut else "it"
                raise RequestError(
                    Reason.EMPTY,
                    f"an empty text: the tokenizer leaves nothing of {of}",
                    inputs.field(index),
                )
            if len(ids) > limit:
                self._check_tokens(inputs, index, ids)
        return encoded

    def _check_tokens(self, inputs: Inputs, index: int, ids: list[int]) -> None:
        if len(ids) > self._limit:
            raise RequestError(
                Reason.TOO_LONG,
                f"{len(ids)} tokens; the limit is {self._limit}",
                inputs.field(index),
                limit=self._limit,
                actual=len(ids),
            )


def _slices(lengths: list[int]) -> Iterator[slice]:
    """Neighbouring texts of at most SLICE characters together; a longer one goes alone."""
    first, characters = 0, 0
    for index, length in enumerate(lengths):
        if index > first and characters + length > SLICE:
            yield slice(first, index)
            first, characters = index, 0
        characters += length
    yield slice(first, len(lengths))
