"""Texts in, decisions out, in this process: what the server does, without a server."""

from __future__ import annotations

from collections.abc import Sequence

from ..cascade.columns import Decisions
from ..cascade.decisions import Decision
from ..cascade.parts import StagePart
from ..checkpoint.load import Checkpoint
from ..errors import NestlingError
from ..runners.base import ModelRunner
from ..runners.scheduled import decide, step
from ..runners.torch import TorchRunner
from .predictions import by_length

MAX_BATCH_TOKENS = 16384


class Predictor:
    """Answers texts by one policy of a checkpoint.

    policy: `auto`, a student's or a cascade's name. runner: by default torch.
    Raises NestlingError if the policy is unknown.
    """

    def __init__(
        self, checkpoint: Checkpoint, policy: str = "auto", runner: ModelRunner | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.cascade = checkpoint.policy(policy)
        self._runner = runner or TorchRunner(checkpoint)

    def predict(self, texts: Sequence[str]) -> Decisions:
        """One decision per text, in order. Raises NestlingError for a text that is too long."""
        decisions = decide(self.checkpoint, self.cascade, self._encode(texts))
        waiting = [StagePart.of(decisions)]
        while waiting:
            whole, left = waiting[0].only(sorted(row for part in waiting for row in part.rows)), []
            for batch in by_length(whole.lengths, MAX_BATCH_TOKENS):
                part = whole.only(sorted(whole.rows[at] for at in batch))
                left += step(self._runner.forward, [part])
            waiting = left
        return decisions

    def label(self, decision: Decision) -> str | None:
        """The name of the class that a decision answers; None where its policy abstains."""
        if decision.abstained:
            return None
        return self.checkpoint.architecture.labels[decision.answer.label]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        limit = self.checkpoint.architecture.max_tokens
        sequences = self.checkpoint.tokenizer.encode(texts)
        for index, tokens in enumerate(sequences):
            if len(tokens) > limit:
                raise NestlingError(f"text {index}: {len(tokens)} tokens; the limit is {limit}")
        return sequences
