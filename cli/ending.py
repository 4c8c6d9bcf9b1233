"""How the command line ends: what is said, in one line, and with which exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.exceptions import TyperException

from ..loadtest.errors import LoadtestError
from ..models.errors import NestlingError, missing_extra
from .extras import extra_with
from .root import Group

MENDABLE, INTERRUPTED = 2, 130
"""Exit statuses: of what the user can mend, and after Ctrl-C, as shells have it."""
COMPLETION = "_NESTLING_COMPLETE"
"""In the environment where a shell asks how a word may go on."""


class Root(Group):
    """The whole command line: whatever happens in a command comes to its end here."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode or COMPLETION in os.environ:
            return super().main(
                args, prog_name, complete_var, standalone_mode, windows_expand_args, **extra
            )
        given = list(sys.argv[1:] if args is None else args)
        sys.exit(_end(lambda: self._run(given, extra)))

    def _run(self, arguments: list[str], extra: dict[str, Any]) -> int:
        try:
            with self.make_context("nestling", arguments, **extra) as context:
                self.invoke(context)
        except typer.Exit as early:
            return early.exit_code
        return 0


def _end(run: Callable[[], int]) -> int:
    """The exit status of a command line; what went wrong is said on stderr."""
    try:
        status = run()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except TyperException as error:
        return _say(_words(error), error.exit_code)
    except (NestlingError, LoadtestError) as error:
        return _say(str(error), MENDABLE)
    except ModuleNotFoundError as missing:
        extra = extra_with(missing.name or "")
        if extra is None:
            raise
        return _say(missing_extra(missing.name or "", "this command", extra), MENDABLE)
    except BrokenPipeError:  # `| head` has seen enough, which is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a file without permission
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", MENDABLE)


def _say(text: str, status: int) -> int:
    print(f"nestling: {' '.join(text.split())}", file=sys.stderr)
    return status


def _words(error: TyperException) -> str:
    """A wrong command line: which option, argument or variable of the environment, and why."""
    context = getattr(error, "ctx", None)
    if isinstance(error, typer.BadParameter) and context and (parameter := error.param):
        source = context.get_parameter_source(parameter.name)
        if source is not None and source.name == "ENVIRONMENT":
            place = str(parameter.envvar)
        elif parameter.param_type_name == "option":
            place = max(parameter.opts, key=len)
        else:
            place = str(parameter.name).upper()
        return f"{place}: {_reason(error, parameter)}{_see(context)}"
    return error.format_message() + _see(context)


def _reason(error: typer.BadParameter, parameter: Any) -> str:
    """Why a value is refused, with the value and its limits."""
    if not error.message:
        return "is missing"
    # The cause is pydantic's, which has the value.
    refused: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    if not refused:
        return error.message
    value, kind = refused[0]["input"], refused[0]["type"]
    if kind in ("greater_than_equal", "less_than_equal"):
        if str(value).lower() == "nan":
            return "nan is no number"
        low, high = parameter.min, parameter.max
        limits = f"below {low}" if kind == "greater_than_equal" else f"above {high}"
        return f"{value} is {limits}"
    if kind.startswith(("int", "float")):
        return f"{value!r} is no {'whole ' if kind.startswith('int') else ''}number"
    reason = error.message.removeprefix("Value error, ").removesuffix(".")
    return reason if repr(value) in reason else f"{value!r}: {reason}"


def _see(context: Any) -> str:
    return f" (see `{context.command_path} --help`)" if context else ""
