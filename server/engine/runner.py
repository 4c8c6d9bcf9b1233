"""Where the engine finds the interface of its backend; the backends are in `runners`."""

from .runners import Runner

__all__ = ["Runner"]
