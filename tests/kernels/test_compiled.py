"""Every kernel, with every tile that may be chosen, compiled without a GPU for sm_80, sm_90 and
sm_100 by the Triton that is installed: what the machine code multiplies by, what it takes, and how
wide it loads and stores.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

import pytest

from benchmarks.kernels.candidates import CANDIDATES
from benchmarks.kernels.resources import Resources
from nestling.kernels.tiles import SHARED, Tile

from .compiling import Call, compiled, prepare

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
INSTRUCTION = {"sm_80": "mma", "sm_90": "wgmma", "sm_100": "tcgen05"}
"""By which linear multiplies: the same in every tile, for their rounding need not be the same."""
SIZE = {"bf16": 2, "fp16": 2, "fp32": 4}
KIND = {"bf16": "half", "fp16": "half", "fp32": "tf32x3"}
WIDE = ((1536, 384),)
GROUPS = ((1536, 384), (384, 384))
ODD = ((133, 100), (63, 33))
LOOKUP = 32
"""Loads of one number each, unrolled, by which a program finds its group."""

LINEAR = [
    (architecture, Call("linear", dtype, widths, tile=tile))
    for architecture in ARCHITECTURES
    for dtype in ("bf16", "fp32")
    for tile in CANDIDATES[architecture][KIND[dtype]]
    for widths in (WIDE, GROUPS)
]
HALF = [(architecture, Call("linear", "fp16", GROUPS)) for architecture in ARCHITECTURES]
NORM = ((384,), (128,))
POOLED = ((128, 384), (64, 192))
OTHERS = [
    (architecture, Call(operation, dtype, widths))
    for architecture in ARCHITECTURES
    for operation, dtype, widths in (
        ("norm", "bf16", NORM),
        ("norm", "fp16", NORM),
        ("norm", "fp32", NORM),
        ("gate", "bf16", ((2,),)),
        ("gate", "bf16", ((150,),)),
        ("gate", "fp16", ((152,),)),
        ("gate", "fp32", ((16384,),)),
        ("attention", "bf16", ()),
        ("attention", "fp32", ()),
        ("pooled_attention", "bf16", POOLED),
        ("pooled_attention", "fp32", POOLED),
    )
]
ODDLY = [
    (architecture, Call(operation, dtype, widths))
    for architecture in ARCHITECTURES
    for operation, dtype, widths in (
        ("linear", "bf16", ODD),
        ("linear", "fp16", ODD[1:]),
        ("linear", "fp32", ODD),
        ("norm", "bf16", ((100,), (63,))),
        ("gate", "bf16", ((149,),)),
        ("pooled_attention", "bf16", ((128, 100), (64, 63))),
    )
]
pytestmark = pytest.mark.slow
Compiled = dict[tuple[str, Call], Future[dict[str, Resources]]]


@pytest.fixture(scope="module")
def all_compiled() -> Iterator[Compiled]:
    """All of them, in two processes side by side."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, initializer=prepare) as pool:
        yield {
            (architecture, call): pool.submit(compiled, call, architecture)
            for architecture, call in dict.fromkeys(LINEAR + HALF + ODDLY + OTHERS)
        }


@pytest.mark.parametrize(("architecture", "call"), LINEAR + HALF, ids=str)
def test_linear_uses_the_tensor_cores_and_moves_16_bytes_at_once(
    all_compiled: Compiled, architecture: str, call: Call
) -> None:
    (result,) = all_compiled[architecture, call].result().values()
    assert result.instruction == INSTRUCTION[architecture]
    assert result.local == 0
    assert result.shared <= SHARED[architecture]
    assert set(result.copies) == {16}  # of x and w, to shared memory
    assert set(result.stores) == {stored(call.tile, SIZE[call.dtype])}
    bias = call.tile.columns if call.tile else 128
    assert sum(n for width, n in result.loads.items() if width < 16) <= LOOKUP + bias // 4
    assert result.loads.get(2, 0) <= bias // 64


def stored(tile: Tile | None, size: int) -> int:
    """Bytes that a thread stores at once: 16, or what it has of a tile if that is less."""
    return min(16, tile.rows * tile.columns // (32 * tile.warps) * size) if tile else 16


@pytest.mark.parametrize(("architecture", "call"), OTHERS, ids=str)
def test_other_kernels_fit(all_compiled: Compiled, architecture: str, call: Call) -> None:
    for name, result in all_compiled[architecture, call].result().items():
        assert result.local == 0, name
        assert result.shared <= SHARED["sm_80"], name
        assert result.instruction == ("" if call.operation in ("norm", "gate") else "mma"), name


@pytest.mark.parametrize(("architecture", "call"), OTHERS, ids=str)
def test_other_kernels_move_16_bytes_at_once(
    all_compiled: Compiled, architecture: str, call: Call
) -> None:
    found = all_compiled[architecture, call].result()
    if call.operation == "norm":
        norm = found["norm"]
        assert set(norm.loads) == {4, 16}
        assert norm.loads[4] <= LOOKUP
        assert set(norm.stores) == {16}
    elif call.operation == "gate":  # stores three numbers of a row
        gate, labels = found["gate"], call.widths[0][0]
        assert max(gate.loads) == (16 if labels % 8 == 0 else 4)
        assert 2 not in gate.loads or labels == 2
    elif call.operation == "attention":
        assert set(found["attention"].copies) == set(found["attention"].stores) == {16}
    else:
        assert set(found["mix"].copies) == set(found["values"].copies) == {16}
        assert set(found["mix"].stores) == set(found["asked"].stores) == {16}


@pytest.mark.parametrize(("architecture", "call"), ODDLY, ids=str)
def test_odd_widths_fit(all_compiled: Compiled, architecture: str, call: Call) -> None:
    """Nothing is as wide, but all of it compiles, within the card."""
    for name, result in all_compiled[architecture, call].result().items():
        assert result.shared <= SHARED[architecture], name
        assert result.registers <= 255, name
        if call.operation == "linear":
            assert result.instruction == INSTRUCTION[architecture]
            assert result.local == 0
            assert min(result.copies, default=16) >= 4  # what is narrower is not asynchronous
