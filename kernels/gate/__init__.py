"""The decision after a stage: accept the answer or ask a larger student."""

from .reference import GateDecision, gate

__all__ = ["GateDecision", "gate"]
