"""Every option of every command: its help, its limits, and what happens beyond them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import typer.main

from nestling.capacity.plan import PlanRequest
from nestling.capacity.traffic import steady
from nestling.cli import app, main
from nestling.loadtest.client.protocols import PROTOCOLS
from nestling.models.calibration.target import RiskTarget
from nestling.server.option import options_of
from nestling.server.settings import Settings

from .conftest import Nestling, complaint

Command = Any  # of the library's own copy of click


def walk(command: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command and group with the words that call it."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


COMMANDS = dict(walk(typer.main.get_command(app)))
NUMBERS = [
    pytest.param(path, parameter, id=f"{' '.join(path)} {parameter.opts[0]}")
    for path, command in COMMANDS.items()
    for parameter in command.params
    if parameter.type_descriptor.annotation in (int, float)
]


def given(path: tuple[str, ...], parameter: Any, value: object) -> list[str]:
    """A command line with a value for one option, and something for all that are needed."""
    words = list(path)
    for needed in COMMANDS[path].params:
        if needed.required:
            sample = "offline" if needed.name == "scenario" else "nowhere"
            named = [] if needed.param_type_name == "argument" else [needed.opts[0]]
            words += [*named, sample]
    return [*words, f"{parameter.opts[0]}={value}"]


def parse(words: list[str]) -> dict[str, Any]:
    """What a command takes a command line for; raises what it refuses it with."""
    path = tuple(words[: next(n for n in range(4) if tuple(words[: n + 1]) not in COMMANDS)])
    context = COMMANDS[path].make_context("nestling", words[len(path) :])
    return dict(context.params)


def test_there_is_something_to_look_at() -> None:
    assert {("serve",), ("plan",), ("plan", "measure"), ("loadtest", "knee")} <= COMMANDS.keys()
    assert len(NUMBERS) > 50


@pytest.mark.parametrize(("path", "parameter"), NUMBERS)
def test_a_number_has_limits_and_is_refused_beyond(
    nestling: Nestling, path: tuple[str, ...], parameter: Any
) -> None:
    low, high = parameter.min, parameter.max
    assert low is not None
    assert high is not None
    step = 1 if parameter.type_descriptor.annotation is int else 1e-9
    beyond = [low - step, math.nextafter(high, math.inf) if step < 1 else high + 1]
    for value in [*beyond, "nan", "inf", "-inf", "many"]:
        said = complaint(nestling(*given(path, parameter, value)))
        assert said.startswith(f"nestling: {parameter.opts[0]}: "), said
        assert str(value) in said
    for value in (low, high):
        assert parse(given(path, parameter, value))[parameter.name] == value


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in COMMANDS.items()]
)
def test_help_shows_every_default_and_cuts_no_description(
    nestling: Nestling, path: tuple[str, ...], command: Command
) -> None:
    long, short = nestling(*path, "--help"), nestling(*path, "-h")
    assert long.exit_code == 0
    assert long.stdout == short.stdout
    assert "..." not in long.stdout.replace("COMMAND [ARGS]...", "")
    for inner in getattr(command, "commands", {}).values():
        assert " ".join(inner.help.partition("\n\n")[0].split()) in " ".join(long.stdout.split())
    for parameter in command.params:
        if parameter.param_type_name == "argument" or "completion" in parameter.opts[0]:
            continue
        context = command.make_context("nestling", [], resilient_parsing=True)
        _, shown = parameter.get_help_record(context)
        assert "required]" in shown or "default: " in shown or parameter.is_eager, parameter.opts


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_help_is_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.argv", ["nestling", "serve", "-h"])
    with pytest.raises(SystemExit):
        main()
    longest = max(map(len, capsys.readouterr().out.splitlines()))
    assert columns - 15 < longest <= columns


@pytest.mark.parametrize("option", options_of(Settings), ids=lambda option: option.name)
def test_every_setting_takes_its_least_and_its_greatest_value(option: Any) -> None:
    if option.kind not in (int, float, int | None, float | None):
        return
    beside = {
        "keep_days": {"store": "sqlite:///x"},
        "max_queued_requests": {"max_client_batch": 1},
        "max_client_batch": {"max_queued_requests": 2**24},
    }.get(option.name, {})
    for value in (option.low, option.high):
        kept = Settings(**beside | {option.name: value})  # type: ignore[arg-type]
        assert getattr(kept, option.name) == value


def test_the_least_and_greatest_values_are_those_of_what_takes_them() -> None:
    """What the command line lets through, the rooms below take."""
    for path in (("calibrate",), ("plan",), ("loadtest", "run"), ("loadtest", "knee")):
        limits = {p.name: (p.min, p.max) for p in COMMANDS[path].params if p.min is not None}
        for end in (0, 1):
            at = {name: limit[end] for name, limit in limits.items()}
            _take(path, at)


def _take(path: tuple[str, ...], at: dict[str, Any]) -> None:
    from nestling.loadtest.client.target import Target as Server
    from nestling.loadtest.knee import Search
    from nestling.loadtest.running import Traffic
    from nestling.loadtest.setup import Setup
    from nestling.loadtest.texts import Texts

    if path == ("calibrate",):
        RiskTarget(at["max_drop"], at["confidence"])
    elif path == ("plan",):
        PlanRequest(
            (1.0,),
            at["objective_ms"] / 1e3,
            at["headroom"],
            at["spare"],
            at["price_per_hour"],
            at["per_machine"],
        )
        steady(at["seconds"])
    else:
        shared = {f.name for f in fields(Setup)} & at.keys()
        assert {"seed", "timeout", "connections", "processes"} <= shared
        target = Server.__new__(Server)
        texts = Texts.__new__(Texts)
        Setup(target, texts, PROTOCOLS, {"native": 1.0}, **{name: at[name] for name in shared})
        if path[1] == "run":
            Traffic("5", at["seconds"], at["warmup"], burstiness=at["burstiness"])
        else:
            Search(at["rate"], at["seconds"], at["tolerance"], at["tries"])
