"""The decision after a stage: accept the answer or ask a larger student."""

from .reference import ENERGY, ENTROPY, MARGIN, PROBABILITY, GateDecision, gate

__all__ = ["ENERGY", "ENTROPY", "MARGIN", "PROBABILITY", "GateDecision", "gate"]
