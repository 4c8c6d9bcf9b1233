"""`nestling serve`, one of whose processes does not load another checkpoint while a file exists.

Usage: fronts_server.py FILE FLAGS OF NESTLING SERVE…
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from nestling.cli import main
from nestling.models.errors import NestlingError
from nestling.server.supervisor.front import Front
from nestling.server.supervisor.messages import Prepare

STUBBORN = Path(sys.argv[1])
really = Front.asked


async def asked(front: Front, message: object) -> Any:
    if isinstance(message, Prepare) and front.slot == 1 and STUBBORN.exists():
        raise NestlingError("this process does not load it")
    return await really(front, message)


if __name__ == "__main__":
    Front.asked = asked  # type: ignore[method-assign]  # which the fronts have from their parent
    sys.argv[:] = ["nestling", "serve", *sys.argv[2:]]
    main()
