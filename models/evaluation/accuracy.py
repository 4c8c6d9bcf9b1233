"""What each student and each cascade is worth: accuracy against cost, on data it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...kernels.operations import REFERENCE
from ..calibration.temperature import calibration_error
from ..cascade.policy import Cascade
from ..checkpoint.load import Checkpoint
from ..checkpoint.manifest import TA
from ..progress import SILENT, Progress
from ..runners.base import ModelRunner
from .predictions import Predictions
from .timing import Seconds, measure

NO_ANSWER = -1
"""In place of a label, where a policy abstains: right of no text that has one."""


@dataclass(frozen=True)
class StudentAnswers:
    """What a policy answers. label: (texts,) int64, `NO_ANSWER` where it abstains. confidence:
    (texts,) float32.

    stage: (texts,) int64, the stage whose answer stands. flops: (texts,) float64, all stages.
    """

    label: Tensor
    confidence: Tensor
    stage: Tensor
    flops: Tensor


@dataclass(frozen=True)
class Result:
    """One policy on one data set.

    macro_f1, micro_f1: as the head's task has them; the latter where a text has several labels.
    flops, seconds: per text, over all stages; relative_*: against the TA alone.
    calibration_error: expected, of the confidence of the answer. breakage: share of texts on
    which the policy is wrong and the TA right; recovery: the other way round; drop: the
    difference, which is the accuracy lost. loss: observed share of the loss for which a
    cascade's risk was calibrated, against the TA that the guarantee names. shares: of the texts, by
    the student that answered. abstained: share that got no label; None where the policy never
    abstains. out_of_scope: share of the out-of-scope texts that reached the TA;
    out_of_scope_abstained: that got no label.
    """

    name: str
    kind: str
    accuracy: float
    macro_f1: float
    calibration_error: float
    flops: float
    relative_flops: float
    seconds: Seconds
    relative_seconds: float
    breakage: float
    recovery: float
    drop: float
    shares: dict[str, float]
    micro_f1: float | None = None
    loss: float | None = None
    alpha: float | None = None
    confidence: float | None = None
    out_of_scope: float | None = None
    abstained: float | None = None
    out_of_scope_abstained: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what does not apply to this policy."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def answer(predictions: Predictions, policy: Cascade) -> StudentAnswers:
    """Route every text through a policy's stages, by the gate that serves."""
    count = len(predictions.sequences)
    label, stage = torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.int64)
    confidence, flops = torch.zeros(count), torch.zeros(count, dtype=torch.float64)
    gate = predictions.task.gate_of(REFERENCE)
    waiting, last = torch.ones(count, dtype=torch.bool), len(policy.stages) - 1
    for index, step in enumerate(policy.stages):
        logits = predictions.logits[step.student.name]
        of_rows = (step.student.temperature, step.threshold, step.score.code, step.scope)
        verdict = gate(logits, *(torch.full((count,), value) for value in of_rows))
        flops += torch.where(waiting, predictions.flops(step.student), 0.0)
        answered = waiting & (verdict.accept if index < last else True)
        given = verdict.label if index < last else verdict.label.where(verdict.accept, NO_ANSWER)
        label[answered], stage[answered] = given[answered], index
        confidence[answered] = verdict.confidence[answered]
        waiting &= ~answered
    return StudentAnswers(label, confidence, stage, flops)


def evaluate(
    checkpoint: Checkpoint,
    predictions: Predictions,
    truth: Tensor,
    sample: Sequence[Sequence[int]],
    out_of_scope: Predictions | None = None,
    repeats: int = 9,
    runner: ModelRunner | None = None,
    progress: Progress = SILENT,
    exact: Tensor | None = None,
) -> list[Result]:
    """Every student, cheapest first, then every cascade.

    truth: (texts,) int64. sample: token ids of the texts whose time is measured. runner: the
    one that is timed; by default torch. exact: (texts,) int64, the answers of the TA in float32;
    None where the predictions are in float32.
    """
    students = [Cascade.alone(student) for student in checkpoint.students.values()]
    policies = [*students, *checkpoint.cascades.values()]
    seconds = measure(checkpoint, policies, sample, repeats, runner, progress)
    ta = answer(predictions, Cascade.alone(checkpoint.ta))
    results = []
    for policy in policies:
        result = _result(policy, predictions, ta, truth, seconds, exact)
        if out_of_scope is not None and policy.name in checkpoint.cascades:
            unknown = answer(out_of_scope, policy)
            asked = [step.student.name == TA for step in policy.stages]
            reached = _share(torch.tensor(asked)[unknown.stage])
            result = replace(result, out_of_scope=reached)
            if policy.abstains:
                abstained = _share(unknown.label == NO_ANSWER)
                result = replace(result, out_of_scope_abstained=abstained)
        results.append(result)
    return results


def _result(
    policy: Cascade,
    predictions: Predictions,
    ta: StudentAnswers,
    truth: Tensor,
    seconds: Mapping[str, Seconds],
    exact: Tensor | None,
) -> Result:
    answers = answer(predictions, policy)
    right, ta_right = answers.label == truth, ta.label == truth
    breakage, recovery = _share(~right & ta_right), _share(right & ~ta_right)
    flops, f1 = answers.flops.mean().item(), predictions.task.f1(answers.label, truth)
    guarantee = policy.guarantee
    loss = None
    if guarantee is not None:
        kept = ta.label if exact is None or guarantee.reference != "float32" else exact
        if policy.abstains:  # the TA that is to be equalled abstains, too
            alone = answer(predictions, replace(policy, stages=policy.stages[-1:]))
            kept = kept.where(alone.label != NO_ANSWER, NO_ANSWER)
        loss = _share(~right & (kept == truth))
        if guarantee.loss == "net":
            loss -= _share(right & (kept != truth))
        elif guarantee.loss == "disagreement":
            loss = _share(answers.label != kept)
    return Result(
        name=policy.name,
        kind=_kind(policy),
        accuracy=_share(right),
        macro_f1=f1["macro_f1"],
        calibration_error=calibration_error(answers.confidence, right),
        flops=flops,
        relative_flops=flops / ta.flops.mean().item(),
        seconds=seconds[policy.name],
        relative_seconds=seconds[policy.name].median / seconds[TA].median,
        breakage=breakage,
        recovery=recovery,
        drop=_share(ta_right) - _share(right),
        shares={
            stage.student.name: _share(answers.stage == index)
            for index, stage in enumerate(policy.stages)
        },
        micro_f1=f1.get("micro_f1"),
        loss=loss,
        alpha=guarantee.alpha if guarantee else None,
        confidence=guarantee.confidence if guarantee else None,
        abstained=_share(answers.label == NO_ANSWER) if policy.abstains else None,
    )


def _kind(policy: Cascade) -> str:
    """A cascade of one stage has another name than its student."""
    if policy.name == TA:
        return "ta"
    return "student" if policy.name == policy.stages[0].student.name else "cascade"


def _share(condition: Tensor) -> float:
    return condition.double().mean().item()
