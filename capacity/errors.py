"""Errors that a user can fix."""

from __future__ import annotations

from ..models.errors import NestlingError


class PlanError(NestlingError):
    """What was asked for cannot be planned, or measured; says why."""
