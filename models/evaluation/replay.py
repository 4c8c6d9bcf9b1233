"""What another policy would have answered to recorded texts, and how far the record can tell.

A record (`calibration.records`) has what every stage of the cascade that served said of a text. A
policy that asks the same students at the same temperatures is replayed exactly. Otherwise a text
may have gone several ways; all are followed, and every number is a range that holds the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import floor
from typing import NamedTuple

from ..calibration.evidence import required
from ..calibration.records import AskedStudent, ShadowRecord
from ..cascade.policy import Cascade, Stage, Student
from ..cascade.score import Score
from ..checkpoint.manifest import TA
from ..precision import margin_of

ROUNDING = 1e-6
"""Of a score, in float32."""
CONFIDENCE = 0.95
"""Of the intervals."""
CANNOT_BE_KNOWN = (
    "Accuracy: the log has no true labels. It differs from the TA's by at most the share of texts "
    "that are answered otherwise than by the TA.",
    "Latency, waiting and batching under load, and device seconds: the log says how many tokens "
    "there were, which gives FLOPs, and nothing of time.",
    "Traffic that is not in the log: what was answered in a brownout, by one student alone, or "
    "while too many shadow texts waited. The intervals are about texts like those sampled, drawn "
    "independently.",
    "What clients asked of a request: deadline_ms, max_cost and min_confidence are not in the log. "
    "What was served kept them; the replayed policies answer as if there were none.",
)


class Range(NamedTuple):
    """The truth is one of these, or between them; it is known where they are equal."""

    low: float
    high: float


class Way(NamedTuple):
    """How a text may have been answered. student: by whom. label: None if it was not recorded.

    flops: of all stages that it took.
    """

    student: str
    label: int | None
    flops: float


@dataclass(frozen=True)
class Replayed:
    """A policy on recorded texts.

    answers_known, costs_known: texts of which the log leaves no doubt about label, or about FLOPs.
    shares: of the texts, by the student that answers. disagreement: share answered otherwise than
    by the TA; interval: for the traffic that was sampled, exact (Clopper, Pearson 1934), with
    probability `CONFIDENCE`. changed: share answered otherwise than it was served. relative_flops:
    of all texts, against the TA alone; flops_against_served: against what was spent.
    """

    policy: str
    texts: int
    answers_known: int
    costs_known: int
    shares: dict[str, Range]
    disagreement: Range
    interval: Range
    changed: Range
    relative_flops: Range
    flops_against_served: Range


def replay(
    policy: Cascade,
    records: Sequence[ShadowRecord],
    students: Mapping[str, Student],
    labels: int | None,
) -> Replayed:
    """What the policy would have done. labels: how many there are, of which one
    holds; None where several may.

    records: at least one, of students' weights, whose stages are all among the students.
    """
    return _summary(
        policy.name,
        [stage.student.name for stage in policy.stages],
        [ways(record, policy, labels) for record in records],
        records,
        students,
    )


def as_served(records: Sequence[ShadowRecord], students: Mapping[str, Student]) -> Replayed:
    """What was done, in the same words."""
    served = [[_served(record, students)] for record in records]
    answered = {way.student for (way,) in served}
    by_size = [name for name in students if name in answered]
    return _summary("as served", by_size, served, records, students)


def ways(record: ShadowRecord, policy: Cascade, labels: int | None) -> list[Way]:
    """Every way that the text may have gone, cheapest first; one alone if the record leaves no
    doubt. Where the last stage abstains, the way has the label that it does not tell: no label is
    that stage's answer in the record, too.
    """
    asked = {stage.student: stage for stage in record.stages}
    found: list[Way] = []
    flops = 0.0
    for stage in policy.stages:
        name = stage.student.name
        flops += stage.student.flops.of(record.tokens)
        accepted = _accepts(stage, asked.get(name), margin_of(record.precision), labels)
        if stage is policy.stages[-1]:
            accepted = True
        if accepted is not False:
            found.append(Way(name, asked[name].label if name in asked else None, flops))
        if accepted:
            break
    return found


def confidence_at(temperature: float, asked: AskedStudent, labels: int | None) -> Range:
    """What the recorded confidence may be at another temperature.

    Let p be the confidence at the recorded temperature t, and rᵢ in [0, 1] the probabilities of the
    other L − 1 labels over p, with the sum S = 1/p − 1. At the temperature T it is
    1 / (1 + Σ rᵢˢ) with s = t/T. Given S, the sum of powers has its extremes where all rᵢ are
    equal, (L−1)·(S/(L−1))ˢ, and where as many as can be are 1, ⌊S⌋ + (S − ⌊S⌋)ˢ, because xˢ is
    concave for s < 1 and convex for s > 1. So two labels leave no doubt but rounding's.
    """
    if asked.at(temperature):
        return Range(asked.confidence, asked.confidence)
    if labels is None:
        return Range(0.0, 1.0)
    power, others = asked.temperature / temperature, labels - 1
    sums = []
    for total in _others(asked.confidence, labels):
        ones = floor(total)
        sums.append(ones + (total - ones) ** power)
        sums.append(others * (total / others) ** power if others else 0.0)
    return Range(1 / (1 + max(sums)) - ROUNDING, 1 / (1 + min(sums)) + ROUNDING)


def margin_at(temperature: float, asked: AskedStudent, labels: int | None) -> Range:
    """What the margin may be at a temperature, the recorded one or another.

    With r the odds of the runner-up at the recorded temperature t, it is 1 / (1 + rˢ) at T, with
    s = t/T. Where the margin was recorded, r = 1/margin − 1. Else the sum S of the odds of all
    L − 1 others says that r lies between S/(L−1) and the lesser of S and 1.
    """
    if asked.margin is not None and asked.at(temperature):
        return Range(asked.margin, asked.margin)
    if labels is None:
        return Range(0.0, 1.0)
    power = asked.temperature / temperature
    if asked.margin is not None:
        odds = _others(asked.margin, 2)
    else:
        high, low = _others(asked.confidence, labels)
        odds = (min(high, 1.0), low / max(1, labels - 1))
    return Range(1 / (1 + odds[0] ** power) - ROUNDING, 1 / (1 + odds[1] ** power) + ROUNDING)


def _others(score: float, labels: int) -> tuple[float, float]:
    """The sum of the odds of all labels but the first, at most and at least, where the first has a
    share of `score`, rounded, and no other has more."""
    high, low = (min(max(score + by, 1 / labels), 1.0) for by in (-ROUNDING, ROUNDING))
    return min(1 / high - 1, labels - 1), min(1 / low - 1, labels - 1)


def _accepts(
    stage: Stage, asked: AskedStudent | None, margin: float, labels: int | None
) -> bool | None:
    """The gate's verdict; None if it cannot be known."""
    reached = _reaches(stage.threshold, score_at(stage, asked, labels), margin)
    energy = asked.energy if asked else None
    inside = _reaches(stage.scope, _recorded(stage, asked, energy), margin)
    if reached is False or inside is False:
        return False
    return None if reached is None or inside is None else True


def _reaches(bound: float, held: Range, margin: float) -> bool | None:
    if bound <= 0:
        return True
    least = _required(bound, margin)
    return held.low >= least if (held.low >= least) == (held.high >= least) else None


def score_at(stage: Stage, asked: AskedStudent | None, labels: int | None) -> Range:
    """What a stage's score may be; anything, where nobody asked it."""
    if asked is None:
        return Range(1 / labels - ROUNDING if labels else 0.0, 1.0)
    if stage.score is Score.PROBABILITY:
        return confidence_at(stage.student.temperature, asked, labels)
    if stage.score is Score.MARGIN:
        return margin_at(stage.student.temperature, asked, labels)
    return _recorded(stage, asked, asked.score(stage.score))


def _recorded(stage: Stage, asked: AskedStudent | None, value: float | None) -> Range:
    """A score of which nothing is known at another temperature than the recorded one."""
    if asked is None or value is None or not asked.at(stage.student.temperature):
        return Range(0.0, 1.0)
    return Range(value, value)


@cache
def _required(threshold: float, margin: float) -> float:
    return float(required(threshold, margin))


def _served(record: ShadowRecord, students: Mapping[str, Student]) -> Way:
    flops = 0.0
    for stage in record.stages:
        flops += students[stage.student].flops.of(record.tokens)
        if stage.student == record.served:
            return Way(stage.student, stage.label, flops)
    raise RuntimeError("a record's served student is one of its stages")


def _summary(
    policy: str,
    names: Sequence[str],
    found: Sequence[Sequence[Way]],
    records: Sequence[ShadowRecord],
    students: Mapping[str, Student],
) -> Replayed:
    """found: the ways of each record. names: who may answer, cheapest first."""
    texts = len(records)
    served = [_served(record, students) for record in records]
    labels = [{way.label for way in text} for text in found]
    by = [{way.student for way in text} for text in found]
    disagreements = _differences(labels, [record.ta for record in records])
    changes = _differences(labels, [way.label for way in served])
    flops = Range(sum(text[0].flops for text in found), sum(text[-1].flops for text in found))
    ta_flops = sum(students[TA].flops.of(record.tokens) for record in records)
    return Replayed(
        policy=policy,
        texts=texts,
        answers_known=sum(len(each) == 1 and None not in each for each in labels),
        costs_known=sum(len(text) == 1 for text in found),
        shares={
            name: Range(
                sum(each == {name} for each in by) / texts, sum(name in each for each in by) / texts
            )
            for name in names
        },
        disagreement=_over(disagreements, texts),
        interval=_interval(disagreements, texts),
        changed=_over(changes, texts),
        relative_flops=_over(flops, ta_flops),
        flops_against_served=_over(flops, sum(way.flops for way in served)),
    )


def _differences(labels: Sequence[set[int | None]], others: Sequence[int | None]) -> Range:
    """How many texts are answered otherwise: at least, and at most."""
    pairs = list(zip(labels, others, strict=True))
    return Range(
        sum(other not in each and None not in each for each, other in pairs),
        sum(each != {other} for each, other in pairs),
    )


def _over(counted: Range, whole: float) -> Range:
    return Range(counted.low / whole, counted.high / whole)


def _interval(counted: Range, texts: int) -> Range:
    """From the lower end for the fewest to the upper end for the most."""
    from scipy.stats import binomtest  # heavy: only what calibrates or replays pays for it

    ends = [binomtest(int(k), texts).proportion_ci(CONFIDENCE, "exact") for k in counted]
    return Range(float(ends[0].low), float(ends[1].high))
