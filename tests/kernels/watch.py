"""What kernels touch in memory, seen by Triton's interpreter: each load and store, by program.

Poison shows what a kernel makes use of; this shows what it touches, even where nothing comes of it.
A load or store outside the tensors of its launch is refused before it happens. So are two programs
that meet in one place: a GPU runs them in any order, or side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from triton.runtime.interpreter import GridExecutor, InterpreterBuilder, TensorHandle

Addresses = NDArray[np.uint64]


class Touched:
    """Addresses that the programs of a launch touched, and which program it was."""

    def __init__(self) -> None:
        self._addresses: list[Addresses] = []
        self._programs: list[NDArray[np.int64]] = []

    def add(self, addresses: Addresses, program: int) -> None:
        self._addresses.append(addresses)
        self._programs.append(np.full(len(addresses), program))

    def pairs(self) -> tuple[Addresses, NDArray[np.int64]]:
        """All of them, one entry for each time."""
        if not self._addresses:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        return np.concatenate(self._addresses), np.concatenate(self._programs)


class Watch:
    """The launches of a `with watched()`.

    Raises AssertionError inside a launch for a load or store outside its tensors, for one that two
    programs share unless both only load, and for atomic operations, which are for programs that
    share.
    """

    def __init__(self) -> None:
        self._bounds: list[tuple[int, int, str]] = []
        self._kept: list[Tensor] = []  # so that no address stands for two tensors
        self._loads, self._stores = Touched(), Touched()
        self._loaded: list[Addresses] = []
        self._stored: list[Addresses] = []

    def begin(self, arguments: dict[str, Any]) -> None:
        """Before the first program: which addresses the launch may touch.

        That is the whole storage of a tensor, since a view of one group stands for all of them; but
        a vector of integers is as long as it is.
        """
        tensors = {name: x for name, x in arguments.items() if isinstance(x, Tensor)}
        self._kept.extend(tensors.values())
        self._bounds = [(*_bounds(x), name) for name, x in tensors.items()]
        self._loads, self._stores = Touched(), Touched()

    def end(self) -> None:
        """After the last program: whether any two of them met."""
        stored, writer = self._stores.pairs()
        loaded, reader = self._loads.pairs()
        self._stored.append(stored)
        self._loaded.append(loaded)
        if not len(stored):
            return
        order = np.argsort(stored, kind="stable")
        stored, writer = stored[order], writer[order]
        twice = (stored[1:] == stored[:-1]) & (writer[1:] != writer[:-1])
        if twice.any():
            at = int(twice.argmax())
            raise AssertionError(f"programs {writer[at]} and {writer[at + 1]} store to one place")
        found = np.searchsorted(stored, loaded).clip(max=len(stored) - 1)
        foreign = (stored[found] == loaded) & (writer[found] != reader)
        if foreign.any():
            at = int(foreign.argmax())
            raise AssertionError(
                f"program {reader[at]} loads what program {writer[found[at]]} stores"
            )

    def load(self, program: int, addresses: Addresses, size: int) -> None:
        self._check(program, addresses, size, "loads from")
        self._loads.add(addresses, program)

    def store(self, program: int, addresses: Addresses, size: int) -> None:
        self._check(program, addresses, size, "stores to")
        self._stores.add(addresses, program)

    def _check(self, program: int, addresses: Addresses, size: int, does: str) -> None:
        if not len(addresses):
            return
        first, last = int(addresses.min()), int(addresses.max()) + size
        if not any(start <= first and last <= end for start, end, _ in self._bounds):
            start, end, name = min(self._bounds, key=lambda b: abs(b[0] - first))
            raise AssertionError(
                f"program {program} {does} bytes {first - start} to {last - start} of {name}, "
                f"which has {end - start}"
            )

    def loads(self, x: Tensor) -> Tensor:
        """How often each number of x was loaded: int64, of x's shape."""
        return _times(self._loaded, x)

    def stores(self, x: Tensor) -> Tensor:
        """How often each number of x was stored to: int64, of x's shape."""
        return _times(self._stored, x)


def _times(touched: list[Addresses], x: Tensor) -> Tensor:
    known, times = np.unique(np.concatenate(touched), return_counts=True)
    if not len(known):
        return torch.zeros(x.shape, dtype=torch.int64)
    at = _addresses(x)
    found = np.searchsorted(known, at).clip(max=len(known) - 1)
    return torch.from_numpy(np.where(known[found] == at, times[found], 0))


def _bounds(x: Tensor) -> tuple[int, int]:
    if x.dim() == 1 and not x.is_floating_point():
        return x.data_ptr(), x.data_ptr() + x.numel() * x.element_size()
    storage = x.untyped_storage()
    return storage.data_ptr(), storage.data_ptr() + storage.nbytes()


def _addresses(x: Tensor) -> Addresses:
    at = np.full(tuple(x.shape), x.data_ptr(), np.uint64)
    for axis, (length, stride) in enumerate(zip(x.shape, x.stride(), strict=True)):
        steps = np.arange(length, dtype=np.uint64) * np.uint64(stride * x.element_size())
        at += steps.reshape([-1 if a == axis else 1 for a in range(x.dim())])
    return at


@contextmanager
def watched() -> Iterator[Watch]:
    """Watches each launch inside. New tensors are NaN there, and so are numbers that a load masks
    without a word about them; the interpreter's are 0.
    """
    watch = Watch()
    begin, call = GridExecutor._init_args_hst, GridExecutor.__call__
    load, store = InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store

    def init_args(self: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        on_host = begin(self, arguments, named)
        watch.begin(dict(zip(self.arg_names, on_host[0], strict=False)) | on_host[1])
        return on_host

    def run(self: Any, *arguments: Any, **named: Any) -> None:
        call(self, *arguments, **named)
        watch.end()

    def masked_load(self: Any, ptrs: Any, mask: Any, other: Any, *rest: Any) -> Any:
        where = np.broadcast_to(mask.data, ptrs.data.shape).astype(bool)
        element = ptrs.get_element_ty()
        watch.load(program(self), ptrs.data[where], element.primitive_bitwidth // 8)
        loaded = load(self, ptrs, mask, other, *rest)
        if other is None and element.is_floating():
            data = loaded.data.copy()
            data[~where] = np.nan if data.dtype.kind == "f" else 0x7FC0  # bfloat16's bits
            loaded = TensorHandle(data, loaded.dtype)
        return loaded

    def masked_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
        where = np.broadcast_to(mask.data, ptrs.data.shape).astype(bool)
        size = ptrs.get_element_ty().primitive_bitwidth // 8
        watch.store(program(self), ptrs.data[where], size)
        return store(self, ptrs, value, mask, *rest)

    def refused(self: Any, *rest: Any) -> Any:
        raise AssertionError(f"program {program(self)} counts on others: it is atomic")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GridExecutor, "_init_args_hst", init_args)
        patch.setattr(GridExecutor, "_restore_args_dev", lambda *rest: None)  # the host's are they
        patch.setattr(GridExecutor, "__call__", run)
        patch.setattr(InterpreterBuilder, "create_masked_load", masked_load)
        patch.setattr(InterpreterBuilder, "create_masked_store", masked_store)
        patch.setattr(InterpreterBuilder, "create_atomic_rmw", refused)
        patch.setattr(InterpreterBuilder, "create_atomic_cas", refused)
        with nothing_left_in_memory():
            yield watch


@contextmanager
def nothing_left_in_memory() -> Iterator[None]:
    """New tensors are NaN, not what others before them have left where they come to lie."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def program(builder: Any) -> int:
    """The number of the program that runs now."""
    (x, y, z), (_, ny, nz) = builder.grid_idx, builder.grid_dim
    return int((x * ny + y) * nz + z)
