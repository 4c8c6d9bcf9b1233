"""Texts that come again, word for word, are answered by what was answered before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from copy import copy
from time import perf_counter
from typing import cast

from ...models.cascade.columns import Decisions
from ...models.cascade.decisions import Limit
from ...models.cascade.policy import Cascade
from ...models.inputs.text import Text, characters
from ..telemetry.metrics import Metrics
from .constraints import RequestConstraints
from .requests import Answers, Inputs

LONGEST = 512
"""Characters, or token ids, of a text that is kept: what is longer hardly comes again, and a bound
on entries shall be one on memory."""


class AnswerCache:
    """At most so many answers; which nobody has asked for longest goes first.

    An answer is kept under all that decides it: the cascade with its thresholds, the constraints'
    max_cost and min_confidence, and the text as it came, before it costs any tokens, with whether
    it may be truncated. Weights, calibration and tokenizer are those of the one service that has
    this cache: a reload begins with an empty one. What others decide is never kept: answers of a
    brownout, and those that a deadline cut short. Belongs to the event loop.
    """

    def __init__(self, entries: int, metrics: Metrics) -> None:
        self._entries, self._metrics = entries, metrics
        self._kept: OrderedDict[Hashable, Decisions] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def answer(
        self,
        cascade: Cascade,
        inputs: Inputs,
        constraints: RequestConstraints,
        ask: Callable[[Inputs], Awaitable[Answers]],
    ) -> Answers:
        """One decision per text, in order. Those not kept are asked for, and kept.

        cascade: what the constraints' model stands for now. The same text twice at once is computed
        twice: nobody waits for another's request, which may fail or be cancelled. Raises what `ask`
        raises.
        """
        started = perf_counter()
        policy = (
            cascade.name,
            tuple((stage.student.name, stage.threshold) for stage in cascade.stages),
            constraints.max_cost,
            constraints.min_confidence,
            constraints.truncate,
        )
        keys = [(policy, text) for text in _texts(inputs)]
        found = [self._find(key) for key in keys]
        parts = [kept for kept in found if kept is not None]
        missing = [index for index, kept in enumerate(found) if kept is None]
        self._metrics.cache_hits.inc(len(keys) - len(missing))
        self._metrics.cache_misses.inc(len(missing))
        tokenize_seconds = 0.0
        if missing:
            rest = inputs if len(missing) == len(keys) else inputs.part(missing)
            fresh = await ask(rest)
            tokenize_seconds = fresh.tokenize_seconds
            [decisions] = fresh.parts
            parts.append(decisions)
            for row, index in enumerate(missing):
                self._keep(keys[index], decisions, row)
        places = iter(range(len(parts)))
        fresh_places = iter(range(sum(kept is not None for kept in found), len(keys)))
        order = [next(fresh_places if kept is None else places) for kept in found]
        return Answers(parts, tokenize_seconds, perf_counter() - started, order)

    def _find(self, key: Hashable) -> Decisions | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return copy(kept)  # a request writes its variants into its own

    def _keep(
        self, key: tuple[Hashable, Text | tuple[int, ...]], decisions: Decisions, row: int
    ) -> None:
        cut_short = decisions.limits.get(row) is Limit.DEADLINE
        if _length(key[1]) > LONGEST or decisions.brownout or cut_short:
            return
        self._kept[key] = decisions.kept(row)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)


def _length(text: Text | tuple[int, ...]) -> int:
    """Of a text in characters, else in ids."""
    of_pair = isinstance(text, tuple) and isinstance(text[0], str)
    return characters(cast(Text, text)) if of_pair else len(text)


def _texts(inputs: Inputs) -> Sequence[Text] | list[tuple[int, ...]]:
    return inputs.texts if inputs.tokens is None else [tuple(ids) for ids in inputs.tokens]
