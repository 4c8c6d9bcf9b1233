"""What goes between the supervisor and its fronts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.tightening import TighteningStep
from ..engine.worker.messages import Open, Opened
from ..settings import Settings

Stand = Mapping[str, tuple[str, tuple[TighteningStep, ...]]]
"""How the promises stand: a cascade's name → version of its calibration, steps that were taken."""


@dataclass(frozen=True)
class Begin:
    """The first message to a front; its answer is that of a worker.

    open: what to load now. key: under which all fronts make fingerprints of texts. given: the
    settings by which it loads other checkpoints later; those of `open` are the same until a
    checkpoint is served, and then name the runner and the precision that serve. served: what the
    others serve, whose thresholds hold whatever the files say by now; None before.
    """

    open: Open
    key: bytes
    given: Settings
    served: Opened | None = None


@dataclass(frozen=True)
class Go:
    """The second: answer from now on."""

    stand: Stand


@dataclass(frozen=True)
class Ready:
    """From a front: it answers."""


@dataclass(frozen=True)
class Stands:
    """To a front: the promises stand so now."""

    stand: Stand


@dataclass(frozen=True)
class Came:
    """From a front: a text was chosen for the shadow, with its fingerprint. new: to this front."""

    cascade: str
    version: str
    fingerprint: bytes
    new: bool


@dataclass(frozen=True)
class Observed:
    """From a front: the TA was asked too about an answer that a promise covers."""

    cascade: str
    version: str
    student: str
    agrees: bool
    fingerprint: bytes


@dataclass(frozen=True)
class Snapshot:
    """Asks for all series of a front."""


@dataclass(frozen=True)
class Prepare:
    """Asks to load another checkpoint beside the one that is served."""

    path: Path


@dataclass(frozen=True)
class Commit:
    """Asks to serve what was loaded."""


@dataclass(frozen=True)
class Drop:
    """Asks to forget what was loaded."""


@dataclass(frozen=True)
class Pin:
    """Asks to have a service for each of these runners, and for no other beside the main one."""

    runners: tuple[str, ...]


@dataclass(frozen=True)
class Refresh:
    """Asks to take over the experiments that are declared."""


@dataclass(frozen=True)
class Drain:
    """Tells a front to answer what it has accepted, and to end."""
