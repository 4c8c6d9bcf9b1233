"""A checkpoint in which a search finds something, and texts of which its TA is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nestling.models import Checkpoint

from ...searchable import searchable, texts_and_truth


@pytest.fixture
def checkpoint(checkpoint_dir: Path) -> Checkpoint:
    return searchable(checkpoint_dir)


@pytest.fixture
def labelled(checkpoint: Checkpoint) -> tuple[list[str], torch.Tensor]:
    return texts_and_truth(checkpoint)


@pytest.fixture
def texts(labelled: tuple[list[str], torch.Tensor]) -> list[str]:
    return labelled[0]


@pytest.fixture
def truth(labelled: tuple[list[str], torch.Tensor]) -> torch.Tensor:
    return labelled[1]
