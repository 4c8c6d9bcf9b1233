"""A client that costs little beside the server: `wrk`, with bodies of real texts in turn.

Not a benchmark itself. The load test's own client spends as much CPU on a request as the server
does, on the same cores; wrk spends a tenth of it, and knows no more than how many answers came.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local bodies, at = {}, 0
for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
local headers = { ["Content-Type"] = "application/json" }
request = function()
  at = at %% #bodies + 1
  return wrk.format("POST", "%(path)s", headers, bodies[at])
end
"""


@dataclass(frozen=True)
class Sent:
    """requests: answered with 200 within so many seconds."""

    requests: int
    seconds: float

    @property
    def rate(self) -> float:
        """Per second."""
        return self.requests / self.seconds


def send(url: str, path: str, bodies: list[bytes], connections: int, seconds: int) -> Sent:
    """Each connection asks again once it is answered, one thread for all of them.

    Raises RuntimeError where wrk is not installed, a connection failed, or an answer was no 200.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, script = Path(folder) / "bodies", Path(folder) / "script.lua"
        given.write_bytes(b"\n".join(bodies))
        script.write_text(SCRIPT % {"bodies": given, "path": path}, "utf-8")
        command = [
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", "60s", "--script", str(script), url),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise RuntimeError("wrk is not installed: the package of that name in Debian") from None
    if failed := re.search(r"(Non-2xx|Socket errors).*", done.stdout):
        raise RuntimeError(f"{path}: {failed[0]}")
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m),", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said: {done.stdout}")
    unit = {"ms": 1e-3, "s": 1.0, "m": 60.0}[found[3]]
    return Sent(int(found[1]), float(found[2]) * unit)
