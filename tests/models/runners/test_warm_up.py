"""After the warm-up no batch needs a variant of a kernel that is not compiled yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nestling.models import StudentSpec
from nestling.models.checkpoint.save import write_checkpoint
from nestling.models.nested.architecture import Architecture
from nestling.models.nested.head_spec import DEFAULT_HEAD, HeadSpec
from nestling.models.nested.trunk import NestedTransformer

from ...conftest import write_tokenizer
from ..test_zoo import shipped

ODD = Architecture(
    family="bert", vocabulary=40, dim=1100, layers=3, attention_heads=6, head_dim=5, ffn=1030,
    max_tokens=40, activation="gelu", norm_eps=1e-12,
    heads=(HeadSpec(DEFAULT_HEAD, "single_label", tuple("abcdefg")),),
)  # fmt: skip
STUDENTS = {
    "a": StudentSpec((2,), 48, (6,), (1030,)),
    "b": StudentSpec((0, 2), 1100, (2, 4), (16, 33)),
    "c": StudentSpec((0, 1, 2), 100, (2, 4, 6), (16, 64, 1028)),
    "d": StudentSpec((1,), 7, (1,), (512,)),
    "e": StudentSpec((1, 2), 1024, (4, 4), (1026, 8)),
}


def warmed(path: Path, dtype: str, max_tokens: int, batches: int) -> dict[str, object]:
    given = ["-m", "tests.models.runners.warmed", path, dtype, max_tokens, batches]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    run = subprocess.run(
        [sys.executable, *map(str, given)],
        env=environment, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    result: dict[str, object] = json.loads(run.stdout)
    return result


@pytest.mark.slow
def test_no_batch_of_the_shipped_checkpoint_compiles() -> None:
    result = warmed(shipped().path, "bfloat16", 8192, 100)
    assert result["cold"] == []


@pytest.mark.slow
def test_no_batch_of_odd_widths_compiles(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    torch.manual_seed(0)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    state = NestedTransformer(ODD).state_dict()
    write_checkpoint(path, ODD, STUDENTS, state, tokenizer, {"teacher": "none"}, torch.float32)
    result = warmed(path, "float16", 5000, 100)
    assert result["cold"] == []
