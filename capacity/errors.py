"""Errors a user can mend."""

from __future__ import annotations

from ..models.errors import NestlingError


class PlanError(NestlingError):
    """What was asked for cannot be planned, or measured; says why."""
