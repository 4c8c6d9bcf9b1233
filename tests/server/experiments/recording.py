"""A server that keeps a record of experiments, and how tests ask it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nestling.server.http.keys import new_key

from ...experiments.declared import experiment
from ..serving import Server, serve

TEXT = "play some music"
ADMIN, ADMIN_HASH = new_key()


def declaration(*experiments: dict[str, Any]) -> dict[str, Any]:
    return {"experiments": list(experiments)}


def running(name: str = "smaller", **fields: Any) -> dict[str, Any]:
    """One that has started and has no end."""
    return experiment(name, **{"start": "2026-01-01T00:00:00Z", "end": None, **fields})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(checkpoint: Path, folder: Path, declared: Any = None, *flags: str) -> Server:
    """A server that keeps its record in the folder."""
    folder.mkdir(exist_ok=True)
    if declared is not None:
        (folder / "experiments.json").write_text(json.dumps(declared))
        flags = ("--experiments", str(folder / "experiments.json"), *flags)
    if "--store" not in flags:
        flags = ("--store", f"sqlite:///{folder / 'store.db'}", *flags)
    return serve(checkpoint, folder / "log", *flags)


def ask(server: Server, unit: str, **body: Any) -> tuple[dict[str, str], Any]:
    """What a request of a unit gets: its variants, and the whole answer."""
    body = {"inputs": TEXT, **body}
    response = server.client.post("/v1/classify", json=body, headers={"X-User-Id": unit})
    assert response.status_code == 200, response.text
    variants = response.json()["decision"]["variants"]
    header = response.headers.get("x-nestling-variant")
    assert header == (",".join(f"{k}={v}" for k, v in variants.items()) or None)
    return variants, response


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"


def put(server: Server, declared: Any, key: str = ADMIN) -> Any:
    return server.client.put("/v1/experiments", json=declared, headers={"X-API-Key": key})


def receipts(server: Server, outcome: dict[str, Any]) -> list[str]:
    response = server.client.post("/v1/outcomes", json=outcome)
    assert response.status_code == 200, response.text
    found: list[str] = response.json()["receipts"]
    return found
