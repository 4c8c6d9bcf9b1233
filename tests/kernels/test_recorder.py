"""What the recorder writes down is what a launch would look up in Triton's cache."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest

from .compiling import Call, prepare

pytestmark = pytest.mark.slow
CALLS = [
    Call(operation, dtype, widths)
    for dtype in ("bf16", "fp32")
    for operation, widths in (
        ("linear", ((96, 64),)),
        ("linear", ((96, 64), (7, 33))),
        ("norm", ((96,), (32,))),
        ("gate", ((150,),)),
        ("pooled_attention", ((128, 64), (64, 64))),
    )
]


def test_a_variant_has_the_cache_key_of_its_launch() -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=prepare) as pool:
        recorded, launched = pool.submit(_keys).result()
    assert len(recorded) > len(CALLS)
    assert recorded == launched


def _keys() -> tuple[list[str], list[str]]:
    """Of each launch, as recorded, and as Triton asks its compiler with a card of sm_90."""
    import triton.compiler
    from triton.compiler import make_backend
    from triton.runtime import driver

    from benchmarks.kernels.recorder import recorded, target

    from .compiling import OPERATIONS

    def key(source: Any, options: dict[str, Any]) -> str:
        parsed = make_backend(target("sm_90")).parse_options(dict(options))
        return f"{source.hash()} {parsed.hash()}"

    launched: list[str] = []

    class Card:
        """A driver that starts nothing."""

        def get_current_target(self) -> Any:
            return target("sm_90")

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int) -> int:
            return 0

    class Kernel:
        """What there is of a compiled one until it is started."""

        function = packed_metadata = None

        def launch_metadata(self, *_: Any) -> None: ...

        def run(self, *_: Any) -> None: ...

    def compiled(source: Any, target: Any, options: dict[str, Any]) -> Kernel:
        launched.append(key(source, options))
        return Kernel()

    with recorded("sm_90") as launches:
        for call in CALLS:
            OPERATIONS[call.operation](call)
    with (
        patch.object(driver, "_active", Card()),
        patch.object(triton.compiler, "compile", compiled),
    ):
        for call in CALLS:
            OPERATIONS[call.operation](call)
    variants = dict.fromkeys(launch.variant for launch in launches)
    return [key(each.source(), dict(each.options)) for each in variants], launched
