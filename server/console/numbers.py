"""The numbers that the console shows, as sums over a stretch of time, from the registry alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .reading import Reading

GAUGES = (
    "nestling_brownout_level",
    "nestling_queue_requests",
    "nestling_requests_running",
    "nestling_guarantee_broken",
    "nestling_guarantee_broken_timestamp_seconds",
    "nestling_guarantee_steps",
    "nestling_guarantee_tightened_timestamp_seconds",
    "nestling_shadow_disagreement_ratio",
)
NAMES = (
    *GAUGES,
    "nestling_requests_total",
    "nestling_request_duration_seconds_bucket",
    "nestling_stage_answers_total",
    "nestling_answer_duration_seconds_bucket",
    "nestling_escalations_total",
    "nestling_scope_escalations_total",
    "nestling_abstained_total",
    "nestling_device_seconds_total",
    "nestling_flops_total",
    "nestling_ta_flops_total",
    "nestling_cost_total",
    "nestling_ta_cost_total",
    "nestling_brownout_answers_total",
    "nestling_shadow_texts_total",
)
"""The samples that are read, once per second."""
TOO_MANY_REQUESTS = "429"


@dataclass(frozen=True)
class StudentNumbers:
    """asked, answered, escalated: texts. outside: those passed on, or answered without a label,
    since they were out of this student's scope. p50, p99: seconds from tokens to answer, of the
    texts it answered, over all stages; None of none.
    """

    name: str
    asked: float
    answered: float
    escalated: float
    outside: float
    p50: float | None
    p99: float | None
    device_seconds: float


@dataclass(frozen=True)
class Flow:
    """Texts passed on from one student to another."""

    source: str
    target: str
    texts: float


@dataclass(frozen=True)
class Numbers:
    """Of a stretch of time.

    failed: requests with a status from 400 on; turned_away: those among them with 429. texts:
    answered; abstained: those among them without a label. relative_flops: against asking the TA
    alone; None of no text. cost, ta_cost: in money.
    """

    seconds: float
    requests: float
    failed: float
    turned_away: float
    p50: float | None
    p99: float | None
    texts: float
    abstained: float
    browned_out: float
    relative_flops: float | None
    cost: float
    ta_cost: float
    students: tuple[StudentNumbers, ...]
    flows: tuple[Flow, ...]


@dataclass(frozen=True)
class Guarded:
    """A cascade's promise, as its shadow sees it.

    since: when it was found broken, in Unix time; 0 if it was not. steps: by which its thresholds
    have gone back for it; tightened: when the last of them was taken, in Unix time. texts: covered
    by the promise, of which the TA was asked too.
    """

    cascade: str
    broken: bool
    since: float
    steps: float
    tightened: float
    lower: float
    upper: float
    texts: float


def numbers(rise: Reading, students: Iterable[str], endpoints: Collection[str]) -> Numbers:
    """rise: between two readings. students: those to list, cheapest first. endpoints: whose
    requests count.
    """
    requests = rise.among("endpoint", endpoints)
    codes = {code: n for (code,), n in requests.by("nestling_requests_total", "code").items()}
    listed = tuple(_student(rise, name) for name in students)
    flops, ta_flops = rise.total("nestling_flops_total"), rise.total("nestling_ta_flops_total")
    return Numbers(
        seconds=rise.at,
        requests=sum(codes.values()),
        failed=sum(count for code, count in codes.items() if code >= "400"),
        turned_away=codes.get(TOO_MANY_REQUESTS, 0.0),
        p50=requests.quantile(0.5, "nestling_request_duration_seconds"),
        p99=requests.quantile(0.99, "nestling_request_duration_seconds"),
        texts=sum(student.answered for student in listed),
        abstained=rise.total("nestling_abstained_total"),
        browned_out=rise.total("nestling_brownout_answers_total"),
        relative_flops=flops / ta_flops if ta_flops else None,
        cost=rise.total("nestling_cost_total"),
        ta_cost=rise.total("nestling_ta_cost_total"),
        students=listed,
        flows=tuple(
            Flow(source, target, texts)
            for (source, target), texts in rise.by(
                "nestling_escalations_total", "source", "target"
            ).items()
            if texts
        ),
    )


def guarded(now: Reading) -> tuple[Guarded, ...]:
    """All cascades of the present checkpoint."""
    ratio, texts = "nestling_shadow_disagreement_ratio", "nestling_shadow_texts_total"
    return tuple(
        Guarded(
            cascade,
            broken=broken > 0,
            since=now.total("nestling_guarantee_broken_timestamp_seconds", cascade=cascade),
            steps=now.total("nestling_guarantee_steps", cascade=cascade),
            tightened=now.total("nestling_guarantee_tightened_timestamp_seconds", cascade=cascade),
            lower=now.total(ratio, cascade=cascade, bound="lower"),
            upper=now.total(ratio, cascade=cascade, bound="upper"),
            texts=now.total(texts, cascade=cascade),
        )
        for (cascade,), broken in now.by("nestling_guarantee_broken", "cascade").items()
    )


def _student(rise: Reading, name: str) -> StudentNumbers:
    outcomes = {
        outcome: rise.total("nestling_stage_answers_total", student=name, outcome=outcome)
        for outcome in ("accepted", "limited", "abstained", "escalated")
    }
    answered = outcomes["accepted"] + outcomes["limited"] + outcomes["abstained"]
    passed_on = rise.total("nestling_scope_escalations_total", student=name)
    return StudentNumbers(
        name,
        asked=answered + outcomes["escalated"],
        answered=answered,
        escalated=outcomes["escalated"],
        outside=passed_on + outcomes["abstained"],
        p50=rise.quantile(0.5, "nestling_answer_duration_seconds", student=name),
        p99=rise.quantile(0.99, "nestling_answer_duration_seconds", student=name),
        device_seconds=rise.total("nestling_device_seconds_total", student=name),
    )
