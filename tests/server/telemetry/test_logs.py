"""A record of the log is one line, whatever a client has put into it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from nestling.server.telemetry.logs import JsonFormatter, TextFormatter

from ..serving import serve
from ..sockets import ask
from ..supervisor.test_shutdown import until

FORGED = "2026-01-01 00:00:00,000 INFO POST /admin/reload 200 1.0 ms"
HOSTILE = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u2028\u2029\u202e\u2066\u200b\ufeff\ud800",
    "\x1b[2J\x1b]0;title\x07",
    "\r\n",
]


def record(message: str, raised: str = "") -> logging.LogRecord:
    info = None
    if raised:
        try:
            raise ValueError(raised)
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord("nestling", logging.INFO, __file__, 1, "%s", (message,), info)


@pytest.mark.parametrize("control", HOSTILE)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_what_does_not_print_is_escaped(formatter: logging.Formatter, control: str) -> None:
    message = f"GET /é{control}{FORGED}"
    line = formatter.format(record(message))
    assert line.isprintable()
    assert "é" in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["message"] == message  # nothing is lost


@pytest.mark.parametrize("control", HOSTILE)
def test_a_traceback_passes_for_no_record(control: str) -> None:
    text = TextFormatter().format(record("failed", f"no {control}{FORGED}"))
    first, *rest = text.split("\n")
    assert first.endswith("INFO failed")
    assert all(line.startswith("  ") and line.isprintable() for line in rest)
    assert rest[-1].startswith("  ValueError: no ") or FORGED in rest[-1]
    assert JsonFormatter().format(record("failed", f"no {control}{FORGED}")).isprintable()


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_logs_a_line_but_the_server(calibrated_dir: Path, tmp_path: Path, form: str) -> None:
    path = "/%0a" + FORGED.replace(" ", "%20") + "%1b%5b2J%c2%85%e2%80%a8%7f%00"
    flags = ("--log-requests", "--log-format", form)
    with serve(calibrated_dir, tmp_path / "log", *flags) as server:
        for method in ("GET", "POST"):
            host = b"Host: here\r\nX-Request-Id: a\tb\r\nContent-Length: 0\r\n\r\n"
            ask(server, f"{method} {path} HTTP/1.1\r\n".encode() + host)
        ask(server, f"GET {path} HTTP/1.1\r\n\r\n".encode())  # which is refused
        until(lambda: server.log.count("/admin/reload") == 3)
        lines = server.log.splitlines()
    ours = [line for line in lines if "/admin/reload" in line]
    assert len(ours) == 3
    for line in ours:
        assert line.isprintable()
        assert not line.startswith(FORGED)
        assert "refused: 400" in line or " 404 " in line
