"""What comes back from a device is what was there, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nestling.kernels.set_gate.reference import set_gate
from nestling.models.runners.download import pack, unpack


@pytest.mark.parametrize("answers", [[0, 1, (1 << 24) + 1], [(1 << 62) - 1, (1 << 61) + 1, 5]])
def test_answers_are_whole(answers: list[int]) -> None:
    """As sets of up to 62 labels have them: float32 holds but 24 bits."""
    accepts, logits = torch.tensor([True, False, True]), torch.randn(3, 7)
    packed = pack(torch.tensor(answers), torch.tensor([0.1, 0.2, 0.3]), accepts, logits)
    assert packed.shape == (3, 2 + 1 + 1 + 7)
    found, [sure, accepted], rest = unpack(packed, 2)
    assert found.tolist() == answers
    np.testing.assert_array_equal(sure, np.float32([0.1, 0.2, 0.3]))
    assert accepted.astype(bool).tolist() == [True, False, True]
    np.testing.assert_array_equal(rest, logits.numpy())
    assert not any(np.shares_memory(each, packed.numpy()) for each in (found, sure, rest))


def test_a_gates_decision() -> None:
    logits = torch.randn(9, 62)
    codes = torch.from_numpy(1 << np.arange(62, dtype=np.int64))
    ones = torch.ones(9)
    decision = set_gate(logits, codes, ones, 0.5 * ones, 0 * ones, 0 * ones)
    found, columns, rest = unpack(pack(*decision, logits.bfloat16()), len(decision) - 1)
    np.testing.assert_array_equal(found, decision.label.numpy())
    for column, wanted in zip(columns, decision[1:], strict=True):
        np.testing.assert_array_equal(column, wanted.float().numpy())
    np.testing.assert_array_equal(rest, logits.bfloat16().float().numpy())
