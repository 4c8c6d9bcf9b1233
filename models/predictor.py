"""Texts in, decisions out, in this process: what the server does, without a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..kernels import operations_for
from .batch import PackedBatch
from .cascade import Cascade
from .checkpoint import Checkpoint
from .decision import Decision
from .errors import NestlingError

MAX_BATCH_TOKENS = 16384


class Predictor:
    """Answers texts by one policy of a checkpoint.

    policy: `auto`, a student's or a cascade's name. Raises NestlingError if it is unknown.
    """

    def __init__(self, checkpoint: Checkpoint, policy: str = "auto") -> None:
        self.checkpoint = checkpoint
        self.cascade = checkpoint.policy(policy)

    def predict(self, texts: Sequence[str]) -> list[Decision]:
        """One decision per text, in order. Raises NestlingError for a text that is too long."""
        decisions = [self._admit(i, ids) for i, ids in enumerate(self._encode(texts))]
        waiting = decisions
        for _ in self.cascade.stages:
            waiting = [d for batch in batches(waiting) for d in step(self.checkpoint.model, batch)]
        return decisions

    def label(self, decision: Decision) -> str:
        """The name of the class that a decision answers."""
        return self.checkpoint.architecture.labels[decision.answer.label]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self.checkpoint.tokenizer.encode(texts)

    def _admit(self, index: int, tokens: list[int]) -> Decision:
        limit = self.checkpoint.architecture.max_tokens
        if len(tokens) > limit:
            raise NestlingError(f"text {index}: {len(tokens)} tokens; the limit is {limit}")
        return decide(self.checkpoint, self.cascade, tokens)


def decide(checkpoint: Checkpoint, cascade: Cascade, tokens: list[int]) -> Decision:
    """A decision that has not been asked of any student yet."""
    return Decision(cascade, tokens, checkpoint.ta.flops.of(len(tokens)))


def batches(decisions: Sequence[Decision]) -> Iterator[list[Decision]]:
    """Decisions by length, in batches of at most MAX_BATCH_TOKENS tokens."""
    batch: list[Decision] = []
    total = 0
    for decision in sorted(decisions, key=lambda d: len(d.tokens)):
        if batch and total + len(decision.tokens) > MAX_BATCH_TOKENS:
            yield batch
            batch, total = [], 0
        batch.append(decision)
        total += len(decision.tokens)
    if batch:
        yield batch


@torch.inference_mode()
def step(run: Callable[[PackedBatch], Tensor], decisions: Sequence[Decision]) -> list[Decision]:
    """Ask each decision's next student, all in one packed batch; return those not yet answered.

    run: logits of a packed batch, such as the model itself. The decisions may be at different
    stages of different cascades. The time that the batch took is shared among them by FLOPs.
    """
    ordered = sorted(decisions, key=lambda d: d.stage.student.name)
    groups: dict[str, list[Decision]] = {}
    for decision in ordered:
        groups.setdefault(decision.stage.student.name, []).append(decision)
    batch = PackedBatch.mixed(
        [([d.tokens for d in g], g[0].stage.student.spec) for g in groups.values()]
    )
    started = time.perf_counter()
    logits = run(batch)
    temperature = torch.tensor([d.stage.student.temperature for d in ordered])
    threshold = torch.tensor([d.threshold for d in ordered])
    device = logits.device
    gate = operations_for(device).gate
    verdict = gate(logits, temperature.to(device), threshold.to(device))
    labels, confidences = verdict.label.tolist(), verdict.confidence.tolist()
    accepts, rows = verdict.accept.tolist(), logits.float().cpu().unbind()
    seconds = time.perf_counter() - started
    flops = [d.stage.student.flops.of(len(d.tokens)) for d in ordered]
    share = seconds / sum(flops)
    return [
        d
        for d, label, confidence, accept, row, cost in zip(
            ordered, labels, confidences, accepts, rows, flops, strict=True
        )
        if not d.record(label, confidence, accept, row, cost * share)
    ]
