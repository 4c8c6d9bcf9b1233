"""Answers in headers: for clients whose protocol has no room for them in the body."""

from __future__ import annotations

from ..core.requests import Answers

MOST_TEXTS = 64
"""Requests with more texts get the timings alone: a header has a few kilobytes."""


def answer_headers(answers: Answers, device: str) -> dict[str, str]:
    """How the answers came to be, and the timings as text-embeddings-inference names them.

    Of several texts the values stand one after the other, separated by commas, in their order.
    Times are whole milliseconds, over all stages; those in the queue and in batches are of the text
    that needed most.
    """
    decisions = answers.decisions
    milliseconds = {
        "x-total-time": answers.total_seconds,
        "x-tokenization-time": answers.tokenize_seconds,
        "x-queue-time": max(decision.waited for decision in decisions),
        "x-inference-time": max(decision.ran for decision in decisions),
    }
    headers = {
        "x-compute-type": device,
        "x-compute-time": str(round(1e3 * sum(d.seconds for d in decisions))),
        "x-compute-tokens": str(sum(len(d.tokens) for d in decisions)),
        **{name: str(round(1e3 * seconds)) for name, seconds in milliseconds.items()},
    }
    if level := max(decision.brownout for decision in decisions):
        headers["x-nestling-brownout"] = str(level)
    if cached := sum(decision.cached for decision in decisions):
        headers["x-nestling-cached"] = str(cached)
    if variants := decisions[0].variants:
        headers["x-nestling-variant"] = ",".join(f"{name}={v}" for name, v in variants.items())
    if len(decisions) > MOST_TEXTS:
        return headers
    return headers | {
        "x-nestling-student": ",".join(d.answer.stage.student.name for d in decisions),
        "x-nestling-path": ",".join(
            ">".join(step.stage.student.name for step in d.steps) for d in decisions
        ),
        "x-nestling-confidence": ",".join(f"{d.answer.confidence:.6f}" for d in decisions),
        "x-nestling-cost": ",".join(f"{d.relative_cost:.4g}" for d in decisions),
    }
