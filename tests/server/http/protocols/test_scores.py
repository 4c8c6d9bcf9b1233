"""Scores of all labels, written as bytes: what an object per label would be."""

from __future__ import annotations

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nestling.server.http.protocols.scores import as_list, ranked

scores = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, 0.5, -3.25, 1e-7, 5e-7, 0.0000015, 1e-6, 0.1234565]),
        st.floats(-50, 50, width=32),
    ),
)


@given(scores, st.data())
def test_the_same_bytes(found: np.typing.NDArray[np.float32], data: st.DataObject) -> None:
    texts, count = found.shape
    labels = tuple(f'"{index}" ü' for index in range(count))
    abstained = data.draw(st.lists(st.booleans(), min_size=texts, max_size=texts))
    most = data.draw(st.none() | st.integers(1, 8))
    order = np.argsort(-found, axis=-1, kind="stable")[:, :most].tolist()
    expected = [
        []
        if without
        else [{"score": round(float(row[index]), 6), "label": labels[index]} for index in indices]
        for without, row, indices in zip(abstained, found, order, strict=True)
    ]
    rows = ranked(found, labels, abstained, most)
    assert list(map(orjson.loads, rows)) == expected
    assert as_list(rows) == orjson.dumps(expected)
