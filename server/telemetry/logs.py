"""The log on stderr: one record is one line, whatever a client has put into it.

Paths, names and messages of exceptions come from outside. What does not print is escaped: a line
end would begin a line that nobody has logged, and a terminal obeys what it reads.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from textwrap import indent
from types import TracebackType

from .requests import REQUEST_ID

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class TextFormatter(logging.Formatter):
    """Time, level, message. The lines of a traceback are indented: none passes for a record."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # as logging names it
        return escaped(super().formatMessage(record).rstrip())

    def formatException(self, ei: Raised) -> str:  # noqa: N802  # as above
        lines = super().formatException(ei).split("\n")
        return indent("\n".join(map(escaped, lines)), "  ")


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, request id, and what was raised."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            entry["request_id"] = request_id
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = json.dumps(entry, ensure_ascii=False)
        if line.isprintable():
            return line
        return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def escaped(text: str) -> str:
    """With each character that does not print (controls, other line ends, marks that turn the
    direction of writing) as Python writes it in a string."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def configure_logging(form: str) -> None:
    """Log to stderr, as `text` or `json`."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # below, it talks of itself
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
