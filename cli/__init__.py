"""The `nestling` command: one file per subcommand; heavy imports wait until one runs.

`app` is the whole command line, `main` what the installed script calls.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit: with status 2 and one line for what the user can fix."""
    try:
        from .commands import app

        app()
    except KeyboardInterrupt:  # before the command line itself is there, which says the same
        print("nestling: interrupted", file=sys.stderr)
        sys.exit(130)


def __getattr__(name: str) -> Any:
    """`app` on first use, so that `main` is there before what takes time."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .commands import app

    return app
