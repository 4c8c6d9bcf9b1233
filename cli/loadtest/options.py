"""The options that all load tests share; a command gets its `Setup` from them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ...loadtest.client.protocols import PROTOCOLS, Protocol, declared
from ...loadtest.client.target import find
from ...loadtest.files import read_bytes
from ...loadtest.setup import Setup
from ...loadtest.texts import read_texts
from ...models.errors import NestlingError, missing_extra
from ..outputs import check_folder

SEEDS = 2**31 - 1
"""The largest seed that NumPy and MLPerf's generator both accept."""
SOME = 0.001
"""The lower limit of options that must be above 0."""
DAY_MS, DAY, MONEY = 86_400_000, 86_400, 1_000_000


def option(
    help: str,
    default: str | bool = True,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """An option. default: what the help shows as the default. low, high: limits of a number."""
    return typer.Option(help=help, show_default=default, min=low, max=high)


Url = Annotated[str, typer.Argument(help="Of the server: http://HOST:PORT, perhaps with a path.")]
Out = Annotated[Path, typer.Option(help="Folder for report.json and report.html.", file_okay=False)]
Model = Annotated[str, option("Which to ask for, where the protocol names it.")]
Warmup = Annotated[float, option("Seconds of load before what is measured.", low=0, high=DAY)]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the numbers in short as JSON, and nothing else.", show_default="off"
    ),
]


def with_setup(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `build`, in place of its parameter `setup`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for name, p in signature.parameters.items() if name != "setup"]
    shared = list(inspect.signature(build, eval_str=True).parameters.values())

    @wraps(command)
    def with_options(**values: Any) -> None:
        check_folder(values["out"])
        given = {p.name: values.pop(p.name) for p in shared}
        command(**values, setup=build(**given))

    parameters = sorted([*shared[:2], *own, *shared[2:]], key=lambda p: p.default is not p.empty)
    with_options.__signature__ = signature.replace(  # type: ignore[attr-defined]  # inspect reads it
        parameters=[p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    return with_options


def build(
    url: Url,
    data: Annotated[
        Path, typer.Option(help="JSON Lines of `text` and `label`; pairs have `text_pair`.")
    ],
    protocol: Annotated[
        str,
        option(
            "native, tei (text-embeddings-inference), oip (Open Inference Protocol), huggingface, "
            "infinity, or one of --protocols; a mix is native=3,tei=1."
        ),
    ] = "native",
    protocols: Annotated[
        Path | None, option("Further protocols: JSON of {NAME: {path, body, labels}}.", "none")
    ] = None,
    batch: Annotated[
        str, option("Texts of a request; a mix is 1=9,16=1: nine in ten have one text.")
    ] = "1",
    seed: Annotated[int, option("Of all that is left to chance.", low=0, high=SEEDS)] = Setup.seed,
    objective_ms: Annotated[
        float,
        option(
            "Milliseconds that an answer may take; goodput counts these.", low=SOME, high=DAY_MS
        ),
    ] = Setup.objective_ms,
    timeout: Annotated[
        float,
        option("Seconds from when a request was due until it is given up.", low=SOME, high=DAY),
    ] = Setup.timeout,
    reference: Annotated[
        str | None,
        option(
            "The model that answers are compared with, asked after the load; `none` for no "
            "comparison.",
            "`ta` where the protocol is native",
        ),
    ] = None,
    price_per_hour: Annotated[
        float, option("Of the server's machine, in any currency.", low=0, high=MONEY)
    ] = Setup.price_per_hour,
    processes: Annotated[
        int, option("That send the load together.", low=1, high=1024)
    ] = Setup.processes,
    connections: Annotated[
        int,
        option(
            "At most, of all processes. Who finds none free waits, and its latency counts.",
            low=1,
            high=1_000_000,
        ),
    ] = Setup.connections,
    max_lag_ms: Annotated[
        float,
        option(
            "p99 of the client's own lateness in milliseconds; a run beyond it is refused.",
            low=SOME,
            high=DAY_MS,
        ),
    ] = Setup.max_lag_ms,
    key_file: Annotated[
        Path | None, option("File whose only line is the server's API key.", "none")
    ] = None,
) -> Setup:
    """Raises LoadtestError for what cannot be used, before anything is sent; NestlingError where
    the extra is not installed.
    """
    from ...loadtest.traffic.mix import parse_mix

    if find_spec("matplotlib") is None:
        raise NestlingError(missing_extra("matplotlib", "this command", "loadtest"))
    known = PROTOCOLS | (declared(read_bytes(protocols), str(protocols)) if protocols else {})
    shares = parse_mix("protocol", protocol)
    key = read_bytes(key_file).decode().strip() if key_file else None
    return Setup(
        target=find(url, key),
        texts=read_texts(data),
        protocols=known,
        shares=shares,
        batches=parse_mix("batch", batch),
        objective_ms=objective_ms,
        connections=connections,
        processes=processes,
        timeout=timeout,
        max_lag_ms=max_lag_ms,
        reference=_reference(reference, known.get(next(iter(shares)))),
        price_per_hour=price_per_hour,
        seed=seed,
    )


def _reference(given: str | None, protocol: Protocol | None) -> str | None:
    if given is None:
        return protocol.reference if protocol else None
    return None if given == "none" else given
