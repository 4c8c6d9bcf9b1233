"""What a request brings, and what it gets: the same for every protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...models.cascade.columns import Decisions, Told
from ...models.cascade.decisions import Decision
from ...models.inputs.text import Text
from ...models.nested.head_spec import Asked
from ..errors import Reason, RequestError
from .constraints import RequestConstraints

T = TypeVar("T")
COLUMNS = Told._fields.index("device_seconds")
"""The first so many fields of what is told have an entry per text."""


@dataclass(frozen=True)
class Inputs:
    """The texts of one request, or pairs of texts, or their token ids with special tokens.

    single: it was one of them, not a list with one in it. name: what the protocol calls them.
    """

    texts: Sequence[Text]
    single: bool
    tokens: list[list[int]] | None = None
    name: str = "inputs"

    def __len__(self) -> int:
        return len(self.texts if self.tokens is None else self.tokens)

    @property
    def pairs(self) -> bool:
        """Whether they are pairs; all are, or none."""
        return bool(self.texts) and isinstance(self.texts[0], tuple)

    def check_kind(self, asked: Asked) -> None:
        """Raises RequestError unless they are what a head is asked about."""
        if self.tokens is None and self.pairs != (asked == "pair"):
            wanted = (
                'one text; this checkpoint is asked about pairs, {"text": …, "text_pair": …}'
                if asked == "pair"
                else "a pair of texts; this checkpoint is asked about one text at a time"
            )
            raise RequestError(Reason.WRONG_TYPE, wanted, self.field(0))

    def field(self, index: int) -> str:
        """What errors call a text."""
        return self.name if self.single else f"{self.name}[{index}]"

    def part(self, indices: Sequence[int]) -> Inputs:
        """Some of them, which errors go on calling as before."""
        texts = [self.texts[index] for index in indices] if self.tokens is None else []
        tokens = None if self.tokens is None else [self.tokens[index] for index in indices]
        return _Part(texts, self.single, tokens, self.name, whole=self, indices=indices)


@dataclass(frozen=True)
class _Part(Inputs):
    _: KW_ONLY
    whole: Inputs
    indices: Sequence[int]

    def field(self, index: int) -> str:
        return self.whole.field(self.indices[index])


class InferenceRequest(NamedTuple):
    """What is asked, by whatever protocol it came."""

    inputs: Inputs
    constraints: RequestConstraints


def no_header(_: str) -> None:
    """The look-up of a caller that sends no headers."""


class Caller(NamedTuple):
    """Who asks, as far as experiments want to know it.

    id: of the request. user: whose request it is, if it says so. header: looks up a header by its
    name in any case; it returns None for one that has not come, and may raise RequestError. A
    caller that goes away cancels the task that awaits the answer.
    """

    id: str
    user: str | None = None
    header: Callable[[str], str | None] = no_header


@dataclass(frozen=True)
class Answers:
    """What a request gets. tokenize_seconds, total_seconds: of the request as a whole.

    parts: texts that were answered together, and earlier answers to others of them. order: where
    each text of the request is among those of all parts; None for one part in its order.
    """

    parts: Sequence[Decisions]
    tokenize_seconds: float
    total_seconds: float
    order: Sequence[int] | None = None

    def each(self, of: Callable[[Decisions], list[T]]) -> list[T]:
        """A column of all texts, in the request's order."""
        if self.order is None:
            [part] = self.parts
            return of(part)
        found = [value for part in self.parts for value in of(part)]
        return [found[place] for place in self.order]

    @property
    def told(self) -> Told:
        """What is known of all texts, in the request's order."""
        if self.order is None:
            return self.parts[0].told
        columns = zip(*[part.told[:COLUMNS] for part in self.parts], strict=True)
        merged = [list(chain.from_iterable(column)) for column in columns]
        ordered = [[column[place] for place in self.order] for column in merged]
        found = [part.told for part in self.parts]
        device = sum([each.device_seconds for each in found])
        waited, ran = max([each.waited for each in found]), max([each.ran for each in found])
        return Told._make([*ordered, device, waited, ran])

    @property
    def decisions(self) -> list[Decision]:
        """One for each text, to look at."""
        return self.each(list)


@dataclass(frozen=True)
class Embeddings:
    """vectors: (texts, dimensions) float32, each of length 1. tokens: of all texts."""

    vectors: NDArray[np.float32]
    tokens: int
