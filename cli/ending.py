"""How the command line ends: with one line on stderr if something is wrong, and an exit status."""

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

USER_ERROR, INTERRUPTED = 2, 130
"""Exit statuses: for what the user can fix, and after Ctrl-C, as shells define it."""
COMPLETION = "_NESTLING_COMPLETE"
"""The variable by which a shell asks for completions of a word."""


class Root(Group):
    """The whole command line: whatever a command raises is handled here."""

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
    """Run a command, report what went wrong on stderr, and return the exit status."""
    status = _report(run)
    try:
        sys.stdout.flush()
    except OSError:  # reported above; Python would try again, and end with a status of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _report(run: Callable[[], int]) -> int:
    try:
        status = run()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except TyperException as error:
        return _say(_words(error), error.exit_code)
    except (NestlingError, LoadtestError) as error:
        return _say(str(error), USER_ERROR)
    except ModuleNotFoundError as missing:
        extra = extra_with(missing.name or "")
        if extra is None:
            raise
        return _say(missing_extra(missing.name or "", "this command", extra), USER_ERROR)
    except BrokenPipeError:  # a reader such as `head` has seen enough, which is no failure
        return 0
    except OSError as error:  # a full disk, a file without permission
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", USER_ERROR)


def _say(text: str, status: int) -> int:
    print(f"nestling: {' '.join(text.split())}", file=sys.stderr)
    return status


def _words(error: TyperException) -> str:
    """The message for a wrong command line: which option, argument or variable, and why."""
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
