"""What shall be promised: how much risk, with which confidence, and what counts as a loss."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import NestlingError

LOSSES = {
    "drop": "1{is wrong, where the TA is right}",
    "net": "1{is wrong, where the TA is right} − 1{is right, where the TA is wrong}",
    "disagreement": "1{differs from the TA's answer}",
}


@dataclass(frozen=True)
class RiskTarget:
    """What a cascade shall promise: P(risk ≤ alpha) ≥ confidence, for a loss of `LOSSES`."""

    alpha: float
    confidence: float = 0.95
    loss: str = "drop"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise NestlingError(f"max-drop: {self.alpha} is not between 0 and 1")
        if not 0 < self.confidence < 1:
            raise NestlingError(f"confidence: {self.confidence} is not between 0 and 1")
        if self.loss not in LOSSES:
            raise NestlingError(f"loss: {self.loss!r} is none of {', '.join(LOSSES)}")

    @property
    def needs_labels(self) -> bool:
        return self.loss != "disagreement"

    @property
    def net(self) -> bool:
        """Whether what recovers counts too."""
        return self.loss == "net"
