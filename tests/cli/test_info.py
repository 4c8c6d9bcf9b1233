"""`nestling info` shows where a checkpoint comes from as a person would write it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nestling.cli.info import info
from nestling.models.checkpoint.save import write_checkpoint

from ..conftest import tiny_architecture, tiny_model, tiny_students, write_tokenizer


def test_numbers_are_short_and_what_is_not_there_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(
        tmp_path / "checkpoint",
        tiny_architecture(),
        tiny_students(),
        tiny_model().state_dict(),
        write_tokenizer(tmp_path / "tokenizer.json"),
        {
            "teacher": "none",
            "validation_sha256": None,
            "speed": 3.1234567890123456,
            "recipe": {"joint": {"steps": 9, "learning_rate": 5e-4}, "seed": 0, "minutes": None},
        },
        dtype=torch.float32,
    )
    info(str(tmp_path / "checkpoint"))
    said = capsys.readouterr().out
    assert "validation_sha256" not in said
    assert "None" not in said
    assert "speed   3.123\n" in said
    assert "recipe  joint (steps 9, learning_rate 0.0005), seed 0\n" in said
