"""A real server on the device under load, whose labels are those of one on the CPU."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..devices import device_of
from ..record import NotRunError, Record, Row
from ..shapes import Shapes, shapes_for
from ..versions import ROOT

if TYPE_CHECKING:
    from nestling.loadtest.server_process import ServerProcess

DATA = ROOT / "examples" / "clinc150" / "test.jsonl"
IMPORTED = (
    "nestling.cli.commands",
    "nestling.cli.serve",
    "nestling.cli.loadtest.run",
    "nestling.server.http.app",
    "nestling.server.supervisor.start",
    "nestling.loadtest.running",
)
"""What the programs that are started import."""
MARGIN = 0.02
"""Two labels whose probabilities are no further apart may change places by rounding."""
LAG_MS = 1000
"""That the client may be late: it shares the machine, and its lag stands in the row."""
KEPT = 2000
"""Characters of what a program said before it failed."""


def run(record: Record, name: str) -> None:
    """Both servers start at the same time; the one on the CPU ends before the load begins."""
    for module in IMPORTED:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as missing:
            raise NotRunError(
                f"{missing.name}: not installed; the head of benchmarks/device.sh says how to "
                "bring it"
            ) from missing
    device = device_of(name)
    shapes = shapes_for(device)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        with ThreadPoolExecutor(2) as starting:
            begun = [
                starting.submit(serving, where, folder / f"{place}.log")
                for place, where in (("device", name), ("cpu", "cpu"))
            ]
        for each in begun:
            if each.exception() is None:  # it ends, also where the other one did not begin
                running.enter_context(each.result())
        ours, exact = (each.result() for each in begun)
        record.note(greeting=ours.greeting.strip())
        models = [each["id"] for each in asked(ours.url, "/v1/models", None)["data"]]
        record.note(dtype=asked(ours.url, "/info", None)["model_dtype"], models=models)
        texts = [
            json.loads(line)["text"]
            for line in DATA.read_text("utf-8").splitlines()[: shapes.compared]
        ]
        students = [each for each in models if is_student(ours.url, each)]
        record.rows(
            "labels",
            [(each, partial(labels, ours.url, exact.url, each, texts)) for each in students],
        )
        exact.stop()
        record.rows(
            "load",
            [
                (f"{rate} per second", partial(loaded, ours.url, rate, shapes, folder))
                for rate in shapes.rates
            ],
        )
        ours.stop()
        record.rows("log", [("device", lambda: {"said": tail(folder / "device.log")})])


def serving(device: str, log: Path) -> ServerProcess:
    """`nestling serve` as a user starts it. Raises RuntimeError with what it said."""
    from nestling.loadtest.errors import LoadtestError
    from nestling.loadtest.server_process import ServerProcess, serve_command

    with log.open("w", encoding="utf-8") as stderr:
        said: IO[str] = stderr
        try:
            return ServerProcess(serve_command("--device", device), said)
        except LoadtestError as error:
            raise RuntimeError(f"{error}: {tail(log)}") from error


def tail(log: Path) -> str:
    """The end of what a server has written to stderr."""
    return log.read_text("utf-8")[-KEPT:]


def asked(url: str, path: str, body: Row | None) -> Any:
    """The answer in JSON. Raises urllib.error.URLError for none, and for an error of the server."""
    given = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, given), timeout=30) as answer:
        return json.load(answer)


def is_student(url: str, model: str) -> bool:
    """Rather than a cascade, whose threshold decides for one student or another by a hair."""
    return bool(asked(url, f"/v1/models/{model}", None)["kind"] == "student")


def labels(url: str, exact: str, model: str, texts: list[str]) -> Row:
    """How many labels differ from the CPU's where that is sure of its own."""
    body = {"inputs": texts, "parameters": {"top_k": 2}}
    ours, theirs = (asked(each, f"/models/{model}", body) for each in (url, exact))
    sure = [(a, b) for a, b in zip(ours, theirs, strict=True) if apart(b)]
    differ = sum(a[0]["label"] != b[0]["label"] for a, b in sure)
    off = max(
        abs(a[0]["score"] - b[0]["score"])
        for a, b in zip(ours, theirs, strict=True)
        if a[0]["label"] == b[0]["label"]
    )
    return {
        "model": model,
        "texts": len(texts),
        "within_the_margin": len(texts) - len(sure),
        "largest_difference_of_scores": off,
        "error": differ,
        "bound": 0,
        "passed": differ == 0,
    }


def apart(best: list[Row]) -> bool:
    """Whether the first of two labels is clearly before the second."""
    return bool(best[0]["score"] - best[1]["score"] > MARGIN)


def loaded(url: str, rate: int, shapes: Shapes, folder: Path) -> Row:
    """The product's own load test at one rate: failed if requests were neither answered nor turned
    away.
    """
    out = folder / str(rate)
    command = [
        sys.executable, "-m", "nestling.cli", "loadtest", "run", url,
        "--data", str(DATA), "--out", str(out), "--rate", str(rate),
        "--seconds", str(shapes.load_seconds), "--warmup", "1", "--reference", "none",
        "--processes", "4", "--max-lag-ms", str(LAG_MS),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"status {ended.returncode}: {ended.stderr[-KEPT:]}")
    [found] = json.loads((out / "report.json").read_text("utf-8"))["runs"]
    kept = (
        "offered_per_second", "throughput_per_second", "goodput_per_second", "outcomes",
        "latency_ms", "accuracy", "students", "cost",
    )  # fmt: skip
    lost = sum(n for status, n in found["outcomes"].items() if status not in ("200", "429"))
    return {
        **{name: found[name] for name in kept},
        "client_lag_ms": found["client"]["lag_ms"],
        "error": lost,
        "bound": 0,
        "passed": lost == 0,
    }
