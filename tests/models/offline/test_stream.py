"""Lines that are answered as they come."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from nestling.models.errors import DataError
from nestling.models.offline.formats import json_lines
from nestling.models.offline.run import OfflineRequest, classify_stream

ROWS = 60


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("bad", [0, 1, 41, ROWS])
def test_what_comes_before_a_bad_line_is_answered(
    monkeypatch: pytest.MonkeyPatch, checkpoint_dir: Path, processes: int, bad: int
) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 300)
    lines = [json.dumps({"text": "red green", "id": row}) for row in range(ROWS)]
    lines.insert(bad, '{"text": "red')
    source, end = os.pipe()
    os.write(end, "\n".join([*lines, ""]).encode())
    os.close(end)
    out = io.BytesIO()
    request = OfflineRequest(checkpoint_dir, runner="torch", processes=processes)
    try:
        with pytest.raises(DataError, match=f"standard input: line {bad + 1}:.* is not JSON"):
            classify_stream(request, source, out)
    finally:
        os.close(source)
    assert [json.loads(line)["id"] for line in out.getvalue().splitlines()] == list(range(bad))
