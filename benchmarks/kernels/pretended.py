"""A CUDA device that is not there: tensors without contents, and a count of what would be asked.

Shapes, dtypes and devices are followed as torch's fake tensors do; every copy between host and
device, every wait and every operation that would launch a kernel is noted. What is read back from
the device is zeros. Works with a build of torch that knows no CUDA.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nestling.kernels.operations import triton_operations
from nestling.models import Checkpoint
from nestling.models.nested.trunk import NestedTransformer

DEVICE = torch.device("cuda", 0)
aten: Any = torch.ops.aten


class Pretended(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """counts: of `uploads` and `downloads`, each also as `blocking` if the host waits for it, of
    `waits` for an event, of `launches` of torch's own kernels, of `allocations` on the device.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = Counter[str]()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled() and func.namespace == "aten":
            with self:  # operations that are made of others come as they are then
                if (result := func.decompose(*args, **kwargs)) is not NotImplemented:
                    return result
        there = [x for x in tree_leaves((args, kwargs)) if isinstance(x, FakeTensor)]
        if func is aten._local_scalar_dense.default and there:
            self.counts.update(("downloads", "blocking"))
            return 0
        if func is aten._to_copy.default and kwargs.get("device") is not None:
            return self._moved(func, args[0], kwargs)
        if func is aten.copy_.default and isinstance(args[0], FakeTensor) != isinstance(
            args[1], FakeTensor
        ):
            self._count("uploads" if isinstance(args[0], FakeTensor) else "downloads", args[2:])
            return args[0] if isinstance(args[0], FakeTensor) else args[0].zero_()
        made_there = torch.device(kwargs.get("device") or "cpu").type == "cuda"
        if not there and not made_there:
            if kwargs.get("pin_memory"):
                kwargs["pin_memory"] = False
            return func(*args, **kwargs)
        if made_there and kwargs["device"].index is None:
            kwargs["device"] = DEVICE
        with self.fake:
            result = func(*args, **kwargs)
        self._note(func, there, result)
        return result

    def _moved(self, func: Any, x: Tensor, kwargs: Any) -> Tensor:
        """A copy to another device, or to another dtype on the same."""
        to_device = torch.device(kwargs["device"]).type == "cuda"
        if isinstance(x, FakeTensor) and not to_device:
            self._count("downloads", (kwargs.get("non_blocking"),))
            return torch.zeros(x.shape, dtype=kwargs.get("dtype") or x.dtype)
        if not isinstance(x, FakeTensor):
            if not to_device:
                return cast(Tensor, func(x, **kwargs))
            self._count("uploads", (kwargs.get("non_blocking"),))
            self.counts["allocations"] += 1
            with self.fake:
                return torch.empty(x.shape, dtype=kwargs.get("dtype") or x.dtype, device=DEVICE)
        with self.fake:
            result: Tensor = func(x, **kwargs)
        self._note(func, [x], result)
        return result

    def _count(self, what: str, non_blocking: tuple[Any, ...]) -> None:
        self.counts[what] += 1
        self.counts["blocking"] += not any(non_blocking)

    def _note(self, func: Any, given: list[FakeTensor], result: Any) -> None:
        if func.is_view or not given + tree_leaves(result):
            return
        held = {x.untyped_storage()._cdata for x in given}
        made = {x.untyped_storage()._cdata for x in tree_leaves(result) if isinstance(x, Tensor)}
        self.counts["allocations"] += len(made - held)
        self.counts["launches"] += "empty" not in func.name()


class Event:
    """A CUDA event that is over at once."""

    counts: Counter[str]

    def __init__(self, **_: Any) -> None: ...

    def record(self, stream: object) -> None: ...

    def synchronize(self) -> None:
        self.counts["waits"] += 1

    def elapsed_time(self, end: Event) -> float:
        return 1.0


@contextmanager
def pretended() -> Iterator[Pretended]:
    """The code within believes that there is a CUDA device."""
    device = Pretended()
    counted = type("Counted", (Event,), {"counts": device.counts})
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.cuda, "Event", counted))
        stack.enter_context(patch.object(torch.cuda, "_lazy_init", lambda: None))
        stack.enter_context(patch.object(torch.cuda, "current_stream", lambda device: device))
        stack.enter_context(patch.object(Tensor, "to", _to))
        for name, method in METHODS.items():
            stack.enter_context(patch.object(FakeTensor, name, method, create=True))
        # A tensor of given numbers is made on the host, then copied.
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)
        stack.enter_context(device)
        yield device


def _item(x: Tensor, index: Any) -> Tensor:
    """x[index], for which torch itself would ask for CUDA."""
    for dimension, each in enumerate(index if isinstance(index, tuple) else (index,)):
        if each is None:
            x = x.unsqueeze(dimension)
        elif isinstance(each, slice):
            x = aten.slice.Tensor(x, dimension, each.start, each.stop, each.step or 1)
        else:
            x = x.index_select(dimension, each)
    return x


_torch_to: Any = Tensor.to


def _to(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Likewise `to` the device."""
    device = kwargs.pop("device", None) or next(
        (a for a in args if isinstance(a, torch.device | str)), x.device
    )
    if torch.device(device).type != "cuda" or isinstance(x, FakeTensor):
        return cast(Tensor, _torch_to(x, *args, **kwargs))
    return cast(Tensor, aten._to_copy.default(x, device=DEVICE, **kwargs))


METHODS: dict[str, Any] = {
    "__getitem__": _item,
    "__setitem__": lambda x, index, value: aten.copy_.default(_item(x, index), value),
    "__invert__": lambda x: aten.bitwise_not.default(x),
    "copy_": lambda x, of, non_blocking=False: aten.copy_.default(x, of, non_blocking),
    "tolist": lambda x: x.cpu().tolist(),
    # Addresses of memory that is not there: as aligned as an allocator's.
    "data_ptr": lambda x: 4096 + x.storage_offset() * x.element_size(),
}


def placed(checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    """A checkpoint as loaded onto the device that is not there, to call within `pretended`."""
    with torch.device("meta"):
        model = NestedTransformer(checkpoint.architecture, triton_operations())
    stored = checkpoint.model.state_dict().items()
    state = {name: torch.empty(x.shape, dtype=dtype, device=DEVICE) for name, x in stored}
    model.load_state_dict(state, assign=True)
    return replace(checkpoint, model=model.requires_grad_(False).eval())
