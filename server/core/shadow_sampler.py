"""Watching the guarantee live: a share of the texts is also asked of the TA, when nobody waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from ...models.calibration.anytime import rate_bounds
from ...models.cascade.decisions import Decision
from ...models.cascade.policy import Cascade

MOST_WAITING = 64
"""Shadow texts that may wait; what comes beyond is not watched."""
DISAGREEMENT = "disagreement"
"""The loss that needs no labels."""


@dataclass
class DisagreementCounter:
    """One cascade's count. disagreements: texts on which it and the TA answer differently."""

    texts: int = 0
    disagreements: int = 0

    def bounds(self, delta: float) -> tuple[float, float]:
        """Of the rate of disagreement, valid however often one looks."""
        return rate_bounds(self.disagreements, self.texts, delta)


@dataclass
class ShadowSampler:
    """Which texts are watched, and what came of it. share: of the texts, 0 to 1.

    Belongs to the event loop.
    """

    share: float
    waiting: int = 0
    watched: dict[str, DisagreementCounter] = field(default_factory=dict)
    _number: int = 0

    def chooses(self, decision: Decision) -> bool:
        """Whether to watch an answer: never in a brownout, never one of the TA alone.

        By a hash of its number, so that no pattern in the traffic can meet a pattern here.
        """
        self._number += 1
        digest = blake2b(self._number.to_bytes(8), digest_size=8).digest()
        return (
            int.from_bytes(digest) < self.share * 2**64
            and not decision.brownout
            and len(decision.cascade.stages) > 1
            and self.waiting < MOST_WAITING
        )

    def observe(self, cascade: Cascade, agrees: bool) -> DisagreementCounter:
        """The TA has answered too."""
        watched = self.watched.setdefault(cascade.name, DisagreementCounter())
        watched.texts += 1
        watched.disagreements += not agrees
        return watched


def violated(cascade: Cascade, lower: float) -> bool:
    """Whether the cascade's guarantee is refuted, given a lower bound on its disagreement.

    Only a guarantee about disagreement can be: accuracy cannot be watched without labels.
    """
    guarantee = cascade.guarantee
    return guarantee is not None and guarantee.loss == DISAGREEMENT and lower > guarantee.alpha
