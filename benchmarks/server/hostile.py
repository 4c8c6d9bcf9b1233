"""What one hostile client costs the others, and the server's memory.

    python -m benchmarks.server.hostile [--seconds 10] [--base PYTHON]

Each attack lasts some seconds, while another client asks one text after the other. For each: the
longest that client waited, how often it was refused, and the resident memory of the process that
answers HTTP before and at most. `--base` names the interpreter of another installation, such as an
earlier version's, which is attacked in the same way. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from .serving import BenchmarkServer, machine, nestling

CHECKPOINT = str(Path(str(files("nestling.models"))) / "zoo" / "clinc150")
BODY = json.dumps({"inputs": "how do i say goodbye in french"}).encode()
REQUEST = b"POST /v1/classify HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
BLOCK = 500_000
LONG = "goodbye " * 900_000
Attack = Callable[[tuple[str, int], threading.Event], None]


def endless_header(address: tuple[str, int], over: threading.Event) -> None:
    """Headers that never end, again and again."""
    while not over.is_set():
        with socket.create_connection(address) as client:
            client.settimeout(1)
            try:
                client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nx-much: ")
                while not over.is_set():
                    client.sendall(b"a" * BLOCK)
            except OSError:
                continue


def unread_pipeline(address: tuple[str, int], over: threading.Event) -> None:
    """Requests one behind the other, no answer of which is read."""
    while not over.is_set():
        with socket.create_connection(address) as client:
            client.settimeout(0.5)
            try:
                while not over.is_set():
                    client.sendall(REQUEST * 1000)
            except TimeoutError:
                over.wait()  # the server reads no more: so it stays to the end
            except OSError:
                continue


def long_texts(address: tuple[str, int], over: threading.Event) -> None:
    """Texts of seven megabytes, truncated."""
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=300) as client:
        while not over.is_set():
            client.post("/predict", json={"inputs": LONG, "truncate": True})


ATTACKS: dict[str, Attack] = {
    "a header that never ends": endless_header,
    "pipelined requests whose answers nobody reads": unread_pipeline,
    "texts of seven megabytes": long_texts,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--base", help="interpreter of the installation to compare with")
    parser.add_argument("--base-module", default="nestling.cli", help="its command line")
    given = parser.parse_args()
    found = {
        name: {"now": attacked(nestling(CHECKPOINT), attack, given.seconds)}
        | (
            {"base": attacked(
                BenchmarkServer([given.base, "-m", given.base_module, "serve", "--port", "0"]),
                attack, given.seconds,
            )}
            if given.base else {}
        )
        for name, attack in ATTACKS.items()
    }  # fmt: skip
    date = datetime.now(UTC).isoformat(timespec="seconds")
    command = "python -m benchmarks.server.hostile"
    print(json.dumps({"benchmark": "hostile", "date": date, "command": command,
                      "seconds": given.seconds, **machine(), "attacks": found}))  # fmt: skip


def attacked(server: BenchmarkServer, attack: Attack, seconds: float) -> dict[str, float]:
    """One attack on a server, which is stopped afterwards."""
    with server:
        parts = urlsplit(server.url)
        address = (parts.hostname or "", parts.port or 0)
        over, waited, refused = threading.Event(), [0.0], 0
        before = most = memory(server.main)
        attacker = threading.Thread(target=attack, args=(address, over), daemon=True)
        attacker.start()
        end = time.monotonic() + seconds
        with httpx.Client(base_url=server.url, timeout=300) as client:
            while time.monotonic() < end:
                started = time.monotonic()
                status = client.post("/v1/classify", content=BODY).status_code
                waited.append(time.monotonic() - started)
                refused += status != 200
                most = max(most, memory(server.main))
        over.set()
        attacker.join(timeout=60)
        print(f"{attack.__name__}: {max(waited):.2f} s", file=sys.stderr)
        return {
            "longest_wait_seconds": round(max(waited), 3),
            "asked": len(waited) - 1,
            "refused": refused,
            "mebibytes_before": before,
            "mebibytes_at_most": most,
        }


def memory(process: psutil.Process) -> int:
    """Mebibytes resident."""
    resident: int = process.memory_info().rss
    return round(resident / 2**20)


if __name__ == "__main__":
    main()
