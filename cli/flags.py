"""The settings of the server as flags of a command, and as variables of the environment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from math import isfinite
from typing import Annotated, Any

import typer

from ..models.nearest import nearest
from ..server.option import PREFIX, Option, options_of
from ..server.settings import Settings

CHECKPOINT = "NESTLING_CHECKPOINT"
"""A variable that is no setting, but an argument of `nestling serve`."""


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with a flag for each setting, in place of its parameter `settings`."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    options = options_of(Settings)

    @wraps(command)
    def with_flags(*arguments: Any, **values: Any) -> None:
        given = {option.name: values.pop(option.name) for option in options}
        command(*arguments, **values, settings=Settings(**given))

    flags = [_flag(option) for option in options]
    with_flags.__signature__ = signature.replace(  # type: ignore[attr-defined]  # inspect reads it
        parameters=[*own, *flags]
    )
    return with_flags


def unknown_variables(names: Iterable[str]) -> Iterator[str]:
    """What is to be said of each variable that looks like a setting, and is none.

    names: of all variables of the environment.
    """
    known = [CHECKPOINT, *(option.variable for option in options_of(Settings))]
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known:
            # What all have in common would make any two of them look alike.
            close = nearest(name.removeprefix(PREFIX), [k.removeprefix(PREFIX) for k in known])
            hint = f"; is {PREFIX}{close[0]} meant?" if close else ""
            yield f"environment: {name} is no setting, and is ignored{hint}"


def _flag(option: Option) -> inspect.Parameter:
    declared = typer.Option(
        option.flag,  # a boolean would get a second one, that denies it
        help=option.help,  # choices stand beside the flag
        envvar=option.variable,
        min=option.low if isfinite(option.low) else None,
        max=option.high if isfinite(option.high) else None,
        show_default={None: "none", False: "off"}.get(option.default, True),
    )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=option.default,
        annotation=Annotated[option.kind, declared],
    )
