"""What `/v1/classify` says of a text: its label, and the decision behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, NotRequired

import orjson
from typing_extensions import TypedDict

from .....models.cascade.columns import Decisions
from .....models.cascade.decisions import OUT_OF_SCOPE
from .....models.cascade.steps import StepColumns
from .....models.checkpoint.manifest import Manifest
from .....models.heads.task import Shown
from .....models.nested.head_spec import HeadSpec
from ....core.naming import shown_by
from ....core.requests import Answers
from ..scores import LabelScore, probabilities, ranked


class PathStep(TypedDict):
    """One student's answer: a label, or the labels where a text may have several. It stands if its
    score reaches the threshold, its energy the scope, and its confidence what the request wants.
    confidence: calibrated. score: what the threshold is of, by name. score_value: that score; the
    confidence where it is the probability. scope: from which energy on a text is in scope here; 0
    is none.
    """

    student: str
    label: NotRequired[str]
    labels: NotRequired[list[str]]
    confidence: float
    score: str
    score_value: float
    threshold: float
    energy: float
    scope: float
    accepted: bool


class DecisionRecord(TypedDict):
    """How an answer came to be. Costs are sums over all students that were asked.

    model: the cascade or student behind the requested name. student: the one whose answer
    stands. limited_by: why it stands though it was not as sure as asked for: `deadline`,
    `max_cost`, `min_confidence`; else null. cached: whether it is an earlier answer to the same
    text, which costs nothing now. relative_cost: FLOPs relative to asking the TA alone.
    weights: the beginning of their sha256, to which thresholds are tied. brownout: how far overload
    had shortened the cascade, 0 (not at all) to 3 (the smallest student only). variants: by
    experiment, what the request's unit has got.
    """

    model: str
    student: str
    path: list[PathStep]
    limited_by: str | None
    cached: bool
    brownout: int
    variants: dict[str, str]
    tokens: int
    flops: int
    relative_cost: float
    device_seconds: float
    weights: str


class Classification(TypedDict):
    """label: null where the policy abstains, since the text seems to belong to none of them; then
    reason is `out_of_scope`, else null. labels: in its place where a text may have several, those
    that hold, in the order of the checkpoint's; none may. score: calibrated probability that the
    answer is right, 0 to 1, also where it is not given. scores: where `top_k` asks for them, the
    likeliest labels' calibrated probabilities by the student whose answer stands.
    """

    label: NotRequired[str | None]
    labels: NotRequired[list[str] | None]
    score: float
    reason: str | None
    scores: NotRequired[list[LabelScore]]
    decision: DecisionRecord


ANSWER: dict[str, Literal["label", "labels"]] = {"single_label": "label", "multi_label": "labels"}
"""By the head's task, the field with the answer."""
EXAMPLE = {
    "label": "translate",
    "score": 0.998069,
    "reason": None,
    "decision": {
        "model": "drop-0.005",
        "student": "tiny",
        "path": [
            {
                "student": "tiny",
                "label": "translate",
                "confidence": 0.998069,
                "score": "margin",
                "score_value": 0.999665,
                "threshold": 0.980342,
                "energy": 0.960174,
                "scope": 0.0,
                "accepted": True,
            }
        ],
        "limited_by": None,
        "cached": False,
        "brownout": 0,
        "variants": {},
        "tokens": 9,
        "flops": 4114944,
        "relative_cost": 0.02509,
        "device_seconds": 0.00276,
        "weights": "60b7c288200d",
    },
}


def classifications(
    manifest: Manifest, decisions: Decisions, abstain: bool = True
) -> list[Classification]:
    """Answered texts as the protocol shows them. abstain: leave the label out where the policy
    does.
    """
    head, weights = manifest.architecture.head(), manifest.weights_sha256[:12]
    answer, name = ANSWER[head.task], shown_by(head)
    paths: list[list[PathStep]] = [[] for _ in decisions.tokens]
    for step in decisions.steps:
        for row, shown in zip(step.rows, _path_steps(answer, name, step), strict=True):
            paths[row].append(shown)
    model, cached, brownout = decisions.cascade.name, decisions.cached, decisions.brownout
    variants, limits = dict(decisions.variants), decisions.limits
    told = decisions.told
    columns = zip(
        paths,
        told.abstained,
        decisions.lengths,
        told.flops,
        told.costs,
        told.seconds,
        strict=True,
    )
    found: list[Any] = [
        {
            answer: None if abstained and abstain else path[-1][answer],
            "score": path[-1]["confidence"],
            "reason": OUT_OF_SCOPE if abstained else None,
            "decision": {
                "model": model,
                "student": path[-1]["student"],
                "path": path,
                "limited_by": limits.get(row) if limits else None,
                "cached": cached,
                "brownout": brownout,
                "variants": variants,
                "tokens": tokens,
                "flops": round(flops),
                "relative_cost": _cost(relative_cost),
                "device_seconds": float(f"{seconds:.4g}"),
                "weights": weights,
            },
        }
        for row, (path, abstained, tokens, flops, relative_cost, seconds) in enumerate(columns)
    ]
    return found


def add_scores(
    shown: Sequence[Classification], answers: Answers, head: HeadSpec, most: int
) -> None:
    """Put the scores of so many labels into answers that are shown, in the request's order."""
    rows = ranked(probabilities(answers, head), head.labels, [False] * len(shown), most)
    for each, scores in zip(shown, rows, strict=True):
        each["scores"] = orjson.Fragment(scores)  # type: ignore[typeddict-item]


@lru_cache(maxsize=1024)
def _fixed(value: float) -> float:
    """Of a stage: the same for all texts."""
    return round(value, 6)


@lru_cache(maxsize=4096)
def _cost(relative: float) -> float:
    """The same for all texts of a length on the same path."""
    return float(f"{relative:.4g}")


def _path_steps(answer: str, name: Callable[[int], Shown], step: StepColumns) -> list[PathStep]:
    """answer: the field for what `name` calls a student's answer."""
    student, score = step.stage.student.name, step.stage.score.value
    threshold, scope = _fixed(step.threshold), _fixed(step.stage.scope)
    shown = map(name, step.labels)
    columns = zip(shown, step.confidences, step.scores, step.energies, step.accepts, strict=True)
    found: list[Any] = [
        {
            "student": student,
            answer: label,
            "confidence": round(confidence * 1e6) / 1e6,
            "score": score,
            "score_value": round(value * 1e6) / 1e6,
            "threshold": threshold,
            "energy": round(energy * 1e6) / 1e6,
            "scope": scope,
            "accepted": accepted,
        }
        for label, confidence, value, energy, accepted in columns
    ]
    return found
