"""The decision after a stage: accept the answer or ask a larger student."""

from .reference import MARGIN, PROBABILITY, GateDecision, gate

__all__ = ["MARGIN", "PROBABILITY", "GateDecision", "gate"]
