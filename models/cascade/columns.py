"""The texts of one request, as columns: on their way through a cascade, and once answered.

What a student says of some of them in one batch is added as a step: a list per field, an entry per
text. So a text costs a few entries of lists, however much is known of it; one text of them, with
all that, is a `Decision`, made when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from math import inf
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from .decisions import Decision, Limit
from .policy import Cascade, FlopsByLength, Stage
from .steps import StepColumns


class Told(NamedTuple):
    """What is known of the answered texts of a request: columns, but for the last three.

    stages: whose students' answers stand. paths: the names of all that were asked, in their order.
    labels: also where the policy abstains. confidences: calibrated, 0 to 1. abstained: whether an
    answer stands without its label, since the text is out of scope. flops, costs, seconds: over all
    stages; costs are FLOPs relative to the TA alone, seconds those of the device. device_seconds:
    of all texts. waited, ran: seconds in the queue and in batches, over all stages, of the text
    that had most.
    """

    stages: list[Stage]
    paths: list[list[str]]
    labels: list[int]
    confidences: list[float]
    abstained: list[bool]
    flops: list[float]
    costs: list[float]
    seconds: list[float]
    device_seconds: float
    waited: float
    ran: float


class Decisions(Sequence[Decision]):
    """The texts of one request; as a sequence, a `Decision` each.

    cascade: the policy that answers them. tokens: ids of each, with special tokens. ta: FLOPs of
    the TA alone, by length. The other arguments are those of `Decision`, the same for all texts.

    lengths: tokens of each. steps: what students said, in the order of time; where several spoke of
    a text, the last one's answer stands. limits: by row, why an answer stands that was not
    accepted.
    """

    def __init__(
        self,
        cascade: Cascade,
        tokens: list[list[int]],
        ta: FlopsByLength,
        min_confidence: float = 0.0,
        max_cost: float = inf,
        deadline: float = inf,
        brownout: int = 0,
        shadow: bool = False,
    ) -> None:
        self.cascade, self.tokens, self.ta = cascade, tokens, ta
        self.min_confidence, self.max_cost, self.deadline = min_confidence, max_cost, deadline
        self.brownout, self.shadow, self.cached = brownout, shadow, False
        self.variants: Mapping[str, str] = {}
        self.lengths = list(map(len, tokens))
        self.steps: list[StepColumns] = []
        self.limits: dict[int, Limit] = {}
        self._told: Told | None = None
        self._places: list[list[tuple[StepColumns, int]]] | None = None

    # On the way

    def record(self, stage: int, step: StepColumns) -> Sequence[int]:
        """Note what a stage said of some texts. Returns the rows that the next one is to answer.

        The step's `accepts` are what the gate says, which knows threshold and scope alone.
        """
        self.steps.append(step)
        self._places = None
        if self.min_confidence:
            self._hold_to_confidence(step)
        if stage + 1 == len(self.cascade.stages) or all(step.accepts):
            return ()
        return [row for row, accepted in zip(step.rows, step.accepts, strict=True) if not accepted]

    def _hold_to_confidence(self, step: StepColumns) -> None:
        unsure = [confidence < self.min_confidence for confidence in step.confidences]
        if step.threshold > 0:
            pairs = zip(step.accepts, unsure, strict=True)
            step.accepts = [accepted and not doubt for accepted, doubt in pairs]
            return
        rows = zip(step.rows, step.accepts, unsure, strict=True)
        self.stop(
            [row for row, accepted, doubt in rows if accepted and doubt], Limit.MIN_CONFIDENCE
        )

    def stop(self, rows: Iterable[int], limit: Limit) -> None:
        """Let what was said last of these stand, though it was not accepted."""
        self.limits.update(dict.fromkeys(rows, limit))

    def forget(self, stage: Stage, rows: Sequence[int]) -> None:
        """Take back what a stage has said of these, whose batch has not come to its end."""
        among = set(rows)
        self.steps = [s for s in self.steps if s.stage is not stage or among.isdisjoint(s.rows)]
        self._places = None
        for row in rows:
            self.limits.pop(row, None)

    def costs_with(self, stage: int, rows: Sequence[int]) -> list[float]:
        """Of each of these, what was asked so far and this stage, relative to the TA."""
        spent, ta, lengths = self.total(lambda step: step.flops), self.ta, self.lengths
        ask = self.cascade.stages[stage].student.flops_by_length
        return [(spent[row] + ask[lengths[row]]) / ta[lengths[row]] for row in rows]

    def by_now(self) -> tuple[list[int], list[int]]:
        """Rows of which nobody has said anything; and those of which somebody has, but which are
        not answered yet.
        """
        asked = self.total(lambda step: [1.0] * len(step.rows))
        sure = self.last(lambda step: step.accepts)
        last = len(self.cascade.stages)
        untold = [row for row, times in enumerate(asked) if not times]
        open_still = [
            row
            for row, times in enumerate(asked)
            if 0 < times < last and not sure[row] and row not in self.limits
        ]
        return untold, open_still

    def as_they_stand(self) -> Decisions:
        """These, whatever is added to them later."""
        taken = copy(self)
        taken.steps, taken.limits = list(self.steps), dict(self.limits)
        taken._told = taken._places = None
        return taken

    # Columns

    def last(self, values: Callable[[StepColumns], Iterable[Any]]) -> list[Any]:
        """What the last step of each text has in a column; None where there is no step."""
        begun = self._begun
        found = list(values(self.steps[0])) if begun else [None] * len(self.tokens)
        for step in self.steps[begun:]:
            for row, value in zip(step.rows, values(step), strict=True):
                found[row] = value
        return found

    def total(self, values: Callable[[StepColumns], Iterable[float]]) -> list[float]:
        """The sum of a column over the steps of each text."""
        begun = self._begun
        found = list(values(self.steps[0])) if begun else [0.0] * len(self.tokens)
        for step in self.steps[begun:]:
            for row, value in zip(step.rows, values(step), strict=True):
                found[row] += value
        return found

    @property
    def _begun(self) -> int:
        """1 if the first step has spoken of every text, whose columns later ones but amend; 0 if a
        batch had no room for all of them.
        """
        return int(bool(self.steps) and len(self.steps[0].rows) == len(self.tokens))

    @property
    def told(self) -> Told:
        """All that is known of the answered texts; worked out once."""
        if self._told is None:
            self._told = self._tell()
        return self._told

    def _tell(self) -> Told:
        texts, abstains = len(self.tokens), self.cascade.stages[-1].scope > 0
        if len(self.steps) == 1 and len(self.steps[0].rows) == texts:
            [step] = self.steps
            stages, paths = [step.stage] * texts, [[step.stage.student.name]] * texts
            labels, sure, inside = step.labels, step.confidences, step.inside
            flops, per_flop = step.flops, step.seconds_per_flop
            seconds = [spent * per_flop for spent in flops]
            waited, ran = step.waited, step.ran
        else:
            stages = self.last(lambda step: [step.stage] * len(step.rows))
            begun = self._begun
            paths = [[self.steps[0].stage.student.name] if begun else []] * texts
            for step in self.steps[begun:]:
                for row in step.rows:
                    paths[row] = [*paths[row], step.stage.student.name]
            labels = self.last(lambda step: step.labels)
            sure = self.last(lambda step: step.confidences)
            inside = self.last(lambda step: step.inside)
            flops = self.total(lambda step: step.flops)
            seconds = self.total(lambda step: step.seconds)
            waited = max(self.total(lambda step: [step.waited] * len(step.rows)))
            ran = max(self.total(lambda step: [step.ran] * len(step.rows)))
        abstained = [not within for within in inside] if abstains else [False] * texts
        ta = self.ta
        costs = [spent / ta[length] for spent, length in zip(flops, self.lengths, strict=True)]
        return Told(
            stages, paths, labels, sure, abstained, flops, costs, seconds, sum(seconds), waited, ran
        )

    @property
    def logits(self) -> NDArray[np.float32]:
        """(texts, labels), of the students whose answers stand."""
        if len(self.steps) == 1:
            return self.steps[0].logits
        found = np.empty((len(self.tokens), self.steps[0].logits.shape[1]), np.float32)
        for step in self.steps:
            found[list(step.rows)] = step.logits
        return found

    # One text of them

    def kept(self, row: int) -> Decisions:
        """One text as an earlier answer; it keeps nothing else in memory, and costs nothing."""
        alone = copy(self)
        alone.tokens, alone.lengths = [self.tokens[row]], [self.lengths[row]]
        alone.steps = [step.only(at) for step, at in self._said()[row]]
        alone.limits = {0: self.limits[row]} if row in self.limits else {}
        alone.cached, alone.shadow, alone.variants = True, False, {}
        alone._told = alone._places = None
        return alone

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[Decision]:
        return (self._decision(row, steps) for row, steps in enumerate(self._said()))

    def _said(self) -> list[list[tuple[StepColumns, int]]]:
        """By row, each step that speaks of it, and at which place; worked out once."""
        if self._places is None:
            said: list[list[tuple[StepColumns, int]]] = [[] for _ in self.tokens]
            for step in self.steps:
                for at, row in enumerate(step.rows):
                    said[row].append((step, at))
            self._places = said
        return self._places

    @overload
    def __getitem__(self, index: int) -> Decision: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Decision]: ...
    def __getitem__(self, index: int | slice) -> Decision | Sequence[Decision]:
        rows = range(len(self.tokens))[index]
        if isinstance(rows, range):
            return [self[row] for row in rows]
        return self._decision(rows, self._said()[rows])

    def _decision(self, row: int, said: Sequence[tuple[StepColumns, int]]) -> Decision:
        return Decision(
            self.cascade,
            self.tokens[row],
            self.ta[self.lengths[row]],
            self.min_confidence,
            self.max_cost,
            self.deadline,
            [step.of(at) for step, at in said],
            said[-1][0].logits[said[-1][1]] if said else None,
            self.limits.get(row),
            sum([step.waited for step, _ in said]),
            sum([step.ran for step, _ in said]),
            self.brownout,
            self.shadow,
            self.cached,
            self.variants,
        )
