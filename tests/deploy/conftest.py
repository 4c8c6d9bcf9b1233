"""A server under a little load, and a Prometheus that scrapes it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from nestling.models import load_checkpoint
from nestling.models.cascade.policy import Guarantee
from nestling.models.checkpoint.save import write_calibration

from ..server.conftest import TEMPERATURES, calibrated_dir, texts
from ..server.serving import Server, serve
from .prometheus import Prometheus

__all__ = ["calibrated_dir", "texts"]
EXPERIMENT = """
experiments:
  - name: smaller
    unit: request
    start: 2026-01-01T00:00:00Z
    variants:
      - {name: control, weight: 1, policy: all}
      - {name: small, weight: 1, policy: short}
    primary: {metric: latency_ms, smallest_effect: 1}
"""


@pytest.fixture(scope="session")
def promising_dir(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same checkpoint, whose cascades promise something."""
    path = tmp_path_factory.mktemp("promising") / calibrated_dir.name
    checkpoint = load_checkpoint(shutil.copytree(calibrated_dir, path))
    promise = Guarantee(
        "learn-then-test", "disagreement", 0.5, 0.95, 100, 100, 0.4, "", checkpoint.weights_sha256
    )
    cascades = {
        name: replace(cascade, guarantee=promise) for name, cascade in checkpoint.cascades.items()
    }
    write_calibration(checkpoint, TEMPERATURES, cascades, checkpoint.default)
    return path


@pytest.fixture(scope="session")
def prometheus(
    promising_dir: Path, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Of a server whose device has a high price, whose TA is asked about every answer, and which
    runs an experiment.
    """
    folder = tmp_path_factory.mktemp("prometheus")
    experiments = folder / "experiments.yaml"
    experiments.write_text(EXPERIMENT)
    record = ("--experiments", str(experiments), "--store", f"sqlite:///{folder / 'store.db'}")
    flags = ("--price-per-hour", "1e7", "--shadow", "1", *record)
    with serve(promising_dir, folder / "server", *flags) as server, load(server, texts):
        running = Prometheus(server.url.removeprefix("http://"), folder)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def load(server: Server, texts: list[str]) -> Iterator[None]:
    """One client that asks again and again, with a pause in which the TA is asked too."""
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for start in cycle(range(0, len(texts) - 4, 4)):
                if stop.wait(0.1):
                    return
                client.post("/v1/classify", json={"inputs": texts[start : start + 4]})

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
