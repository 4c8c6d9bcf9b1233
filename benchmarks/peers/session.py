"""A whole comparison: every server in turn, one at a time, as often as told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.results.environment import environment
from nestling.loadtest.texts import Texts

from .environments import flags, installed, versions
from .exports import APPS, exported, fingerprint
from .measure import Effort, Measurement
from .process import PeerProcess, free_port
from .record import Record, resume
from .registry import Peer

TURN = 40.0
"""Seconds of a turn, about: start, measure, stop. For the plan only."""
ATTEMPTS = 2
"""At each turn: what failed is tried again when all others are done."""
REFERENCE, TA = "nestling-torch", "ta"
"""By whom the TA is asked, for the accuracy that all others are held against."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}


class Session:
    """peers: in the order of their turns. checkpoint: a directory. cache: of environments, models
    and logs, used again by later sessions."""

    def __init__(
        self,
        peers: Sequence[Peer],
        checkpoint: Path,
        texts: Texts,
        cache: Path,
        effort: Effort,
        tell: Callable[[str], None],
    ) -> None:
        self._peers, self._checkpoint, self._texts = peers, checkpoint, texts
        self._cache, self._effort, self._tell = cache.resolve(), effort, tell

    def run(self, out: Path, command: str) -> dict[str, Any]:
        """Measure what `out` lacks, and return all that it holds then."""
        record = resume(out, self._conditions(command))
        repeats = range(self._effort.repeats)
        left = [
            (repeat, peer)
            for repeat in repeats
            for peer in self._peers
            if not record.has(peer.name, repeat)
        ]
        self._tell(
            f"{len(left)} turns left of {len(repeats)} repeats x {len(self._peers)} servers: about "
            f"{len(left) * TURN / 60:.0f} minutes, and installation before the first"
        )
        ready = {peer.name for peer in self._peers if self._prepare(peer, record)}
        for _ in range(ATTEMPTS):
            for repeat, peer in left:
                if peer.name in ready and not record.has(peer.name, repeat):
                    self._tell(f"{peer.title}, repeat {repeat + 1} of {len(repeats)}")
                    self._turn(peer, repeat, record)
        return record.content

    def _conditions(self, command: str) -> dict[str, Any]:
        effort = asdict(self._effort)
        del effort["repeats"]  # of which there may be more, the next time
        return {
            **environment(),
            "command": command,
            "seed": effort.pop("seed"),
            "objective_ms": effort.pop("objective_ms"),
            "effort": effort,
            "checkpoint": {
                "name": self._checkpoint.name,
                "sha256": fingerprint(self._checkpoint),
            },
            "data": {
                "file": self._texts.name,
                "sha256": self._texts.sha256,
                "texts": len(self._texts),
            },
        }

    def _prepare(self, peer: Peer, record: Record) -> bool:
        record.describe(
            peer.name,
            {
                "title": peer.title,
                "ours": peer.environment is None,
                "precision": peer.precision,
                "settings": peer.settings,
                "versions": versions(peer),
                "command": peer.shown,
            },
        )
        try:
            if peer.needs and peer.needs not in flags():
                raise LoadtestError(f"this processor has no {peer.needs}")
            installed(peer.environment, self._cache)
            exported(peer.form, self._checkpoint, self._cache)
        except LoadtestError as error:
            self._failed(peer, record, "preparation", error)
            return False
        return True

    def _turn(self, peer: Peer, repeat: int, record: Record) -> None:
        begun = time.monotonic()
        known = [run["knee_per_second"] for run in record.runs(peer.name)]
        try:
            with self._process(peer) as server:
                measurement = Measurement(
                    peer, server.url, self._texts, self._effort, repeat, self._tell
                )
                found = measurement.all(known[-1] if known else None)
                if peer.name == REFERENCE and "ta_accuracy" not in record.content:
                    record.note(ta_accuracy=measurement.accuracy(TA))
                memory = server.memory()
        except LoadtestError as error:
            self._failed(peer, record, str(repeat), error)
            return
        run = {
            "repeat": repeat,
            **found,
            "memory_mib": round(memory / 2**20, 1),
            "ready_seconds": round(server.ready_seconds, 2),
            "turn_seconds": round(time.monotonic() - begun, 1),
        }
        record.keep(peer.name, run)

    def _process(self, peer: Peer) -> PeerProcess:
        port = free_port()
        values = {
            "bin": str(installed(peer.environment, self._cache)),
            "apps": str(APPS),
            "model": str(exported(peer.form, self._checkpoint, self._cache)),
            "port": str(port),
        }
        return PeerProcess(
            [part.format_map(values) for part in peer.command],
            OFFLINE
            | {"HF_HOME": str(self._cache / "home")}
            | {name: value.format_map(values) for name, value in peer.variables.items()},
            port,
            peer.protocol,
            peer.asked,
            self._cache / "runs" / peer.name,
            self._cache / "logs" / f"{peer.name}.log",
        )

    def _failed(self, peer: Peer, record: Record, what: str, error: LoadtestError) -> None:
        self._tell(f"{peer.name}: {error}")
        record.fail(peer.name, what, str(error).replace(str(self._cache), "CACHE"))
