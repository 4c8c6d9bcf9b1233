from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestling.kernels import Layout, attention

from .buffers import TOLERANCE, poisoned, relative_error

HEAD_DIM = 5
CASES = {
    "uniform": (Layout((4, 4, 4), (3,)), (7,)),
    "one row": (Layout((1,), (1,)), (7,)),
    "ragged": (Layout((1, 9, 3), (3,)), (3,)),
    "groups": (Layout((2, 7, 1, 5, 5), (2, 0, 3)), (7, 2, 1)),
    "one group skips": (Layout((2, 7, 3), (1, 2)), (0, 4)),
}


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One sequence, one head, float64."""
    scores = q.double() @ k.double().T / HEAD_DIM**0.5
    return torch.softmax(scores, dim=-1) @ v.double()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_equals_float64_per_sequence_and_head(name: str, dtype: torch.dtype) -> None:
    layout, heads = CASES[name]
    rows = layout.starts[-1]
    q, k, v = (poisoned(rows, 7 * HEAD_DIM, s, dtype) for s in range(3))
    for x in (q, k, v):
        for r, h in zip(layout.rows, heads, strict=True):
            x[r, h * HEAD_DIM :] = float("nan")
    y = attention(q, k, v, layout, layout, heads, HEAD_DIM)
    assert y.shape == (rows, max(heads) * HEAD_DIM)
    for members, h in zip(layout.members, heads, strict=True):
        for sequence in range(members.start, members.stop):
            r = slice(layout.starts[sequence], layout.starts[sequence + 1])
            for head in range(h):
                c = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
                # The weights of a head's few columns are rounded before they are summed.
                exact = attend(q[r, c], k[r, c], v[r, c])
                assert relative_error(y[r, c], exact) < 3 * TOLERANCE[dtype]


def test_a_sequence_may_ask_from_its_first_row_alone() -> None:
    keys = Layout((3, 6), (2,))
    q, k, v = (poisoned(9, 2 * HEAD_DIM, seed=s) for s in range(3))
    full = attention(q, k, v, keys, keys, (2,), HEAD_DIM)
    first = attention(q[[0, 3]], k, v, Layout((1, 1), (2,)), keys, (2,), HEAD_DIM)
    assert relative_error(first, full[[0, 3]]) < 1e-6
