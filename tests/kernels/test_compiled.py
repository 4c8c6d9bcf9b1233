"""Every kernel, in every configuration that may be chosen, for sm_80 and sm_90 without a GPU."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import pytest

from benchmarks.kernels.candidates import CANDIDATES
from nestling.kernels.gate.triton import program
from nestling.kernels.norm.triton import warps
from nestling.kernels.tiles import Tile

from .compiling import Compiled, compile_kernel, prepare

SHARED = {"sm_80": 163 * 1024, "sm_90": 227 * 1024}
"""Bytes of shared memory that one program can have (CUDA C++ Programming Guide, table 30)."""
SPILLED = 512
"""Bytes that the largest tile, 128 × 256, may spill per thread; 276 with Triton 3.7.1."""
LINEAR = [
    (kernel, architecture, kind, tile)
    for kernel in ("sliced_linear", "grouped_linear")
    for architecture, kinds in CANDIDATES.items()
    for kind, tiles in kinds.items()
    for tile in tiles
]
OTHERS: list[tuple[str, str, dict[str, Any]]] = [
    (name, architecture, given)
    for architecture in CANDIDATES
    for name, given in (
        *(("gate:gate_kernel", program(labels)) for labels in (2, 150, 16384)),
        *(
            (
                "norm:norm_kernel",
                {"ADD": add, "CENTRE": centre, "COLUMNS": columns, "GROUPS": 4}
                | {"num_warps": warps(columns)},
            )
            for add, centre, columns in ((True, True, 512), (True, True, 16384), (False, False, 64))
        ),
    )
]
pytestmark = pytest.mark.slow
Key = tuple[Any, ...]


@pytest.fixture(scope="module")
def compiled() -> Iterator[dict[Key, Future[Compiled]]]:
    """All of them, in two processes side by side."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, initializer=prepare) as pool:
        jobs: dict[Key, Future[Compiled]] = {}
        for kernel, architecture, kind, tile in LINEAR:
            jobs[kernel, architecture, kind, tile] = pool.submit(
                compile_kernel,
                f"linear.triton:{kernel}_kernel",
                architecture,
                kind,
                constants(kernel, kind, tile),
                tile.warps,
                tile.stages,
            )
        for name, architecture, given in OTHERS:
            module, _, kernel = name.partition(":")
            compile_time = {key: value for key, value in given.items() if key.isupper()}
            jobs[name, architecture, *given.values()] = pool.submit(
                compile_kernel,
                f"{module}.triton:{kernel}",
                architecture,
                "half",
                compile_time,
                given["num_warps"],
                3,
            )
        yield jobs


def constants(kernel: str, kind: str, tile: Tile) -> dict[str, Any]:
    """What the launch fixes at compile time."""
    given = {
        "ACTIVATION": "gelu", "PRECISION": "tf32" if kind == "tf32" else "ieee",
        "ROWS": tile.rows, "COLUMNS": tile.columns, "DEPTH": tile.depth, "BAND": tile.band,
    }  # fmt: skip
    return given | ({"GROUPS": 4, "MULTIPLE": 16} if kernel == "grouped_linear" else {})


@pytest.mark.parametrize(("kernel", "architecture", "kind", "tile"), LINEAR, ids=str)
def test_linear_kernels_use_the_tensor_cores(
    compiled: dict[Key, Future[Compiled]], kernel: str, architecture: str, kind: str, tile: Tile
) -> None:
    result = compiled[kernel, architecture, kind, tile].result()
    assert result.shared <= SHARED[architecture]
    assert result.spilled <= (SPILLED if tile.rows * tile.columns >= 128 * 256 else 0)
    if kind == "ieee":  # exact float32 has no matrix instruction
        assert (result.wgmma, result.mma) == (0, 0)
    elif architecture == "sm_90":
        assert result.wgmma > 0
        assert result.mma == 0
    else:
        assert result.mma > 0


@pytest.mark.parametrize(("kernel", "architecture", "given"), OTHERS, ids=str)
def test_other_kernels_fit(
    compiled: dict[Key, Future[Compiled]], kernel: str, architecture: str, given: dict[str, Any]
) -> None:
    result = compiled[kernel, architecture, *given.values()].result()
    assert result.shared <= SHARED[architecture]
    assert result.spilled == 0
