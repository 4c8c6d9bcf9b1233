"""How many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestling.models import cores as module
from nestling.models.cores import cores

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="control groups are Linux's"
)


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 64 cores, whose control groups lie in the folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(module, "GROUPS", tmp_path)
    monkeypatch.setattr(module, "OWN", tmp_path / "own")
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def test_without_a_quota_all() -> None:
    assert cores() == 64


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"own": "0::/", "cpu.max": "max 100000"}, 64),
        ({"own": "0::/", "cpu.max": "200000 100000"}, 2),
        ({"own": "0::/", "cpu.max": "150000 100000"}, 2),
        ({"own": "0::/", "cpu.max": "1000 100000"}, 1),
        ({"own": "0::/", "cpu.max": "9900000 100000"}, 64),
        ({"own": "0::/a/b", "a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ({"own": "0::/../../elsewhere", "cpu.max": "200000 100000"}, 2),
        (
            {
                "own": "5:memory:/x\n4:cpu,cpuacct:/docker/7",
                "cpu/cpu.cfs_quota_us": "200000",
                "cpu/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        ({"own": "4:cpu:/", "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_a_quota_of_a_control_group(groups: Path, files: dict[str, str], expected: int) -> None:
    write(groups, files)
    assert cores() == expected
