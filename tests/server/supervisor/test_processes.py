"""How many processes answer, and what each has of the limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestling.models.cores import cores
from nestling.models.errors import NestlingError
from nestling.server.settings import MOST_PROCESSES, Settings
from nestling.server.supervisor import processes
from nestling.server.supervisor.board import Board
from nestling.server.supervisor.processes import how_many, share_of


def test_on_a_cpu_one_per_core_unless_told_otherwise() -> None:
    assert how_many(Settings(device="cpu")) == cores()
    assert how_many(Settings(device="cpu", processes="3")) == 3
    assert how_many(Settings(processes="1")) == 1


def test_no_more_than_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 384)
    assert how_many(Settings(device="cpu")) == MOST_PROCESSES


def test_on_a_gpu_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "NVIDIA", tmp_path / "none")
    assert how_many(Settings()) == cores()
    assert how_many(Settings(device="cuda:1")) == 1
    assert how_many(Settings(onnx_providers="CUDAExecutionProvider, CPUExecutionProvider")) == 1
    with pytest.raises(NestlingError, match=r"processes: 2; on a GPU one process has the weights"):
        how_many(Settings(device="cuda", processes="2"))


@pytest.mark.parametrize("wrong", ["0", "257", "-1", "many", "2.0", ""])
def test_what_is_no_number_of_processes(wrong: str) -> None:
    with pytest.raises(NestlingError, match=r"processes: .* neither auto nor a number from 1 to"):
        Settings(processes=wrong)


def test_limits_of_the_server_are_divided() -> None:
    whole = Settings(price_per_hour=6, max_queued_requests=9000, max_queued_tokens=10**6)
    part = share_of(whole, 3, 64)
    assert (part.max_queued_requests, part.max_queued_tokens) == (3000, 333_334)
    assert (part.price_per_hour, part.threads) == (2, max(1, cores() // 3))
    small = share_of(Settings(max_client_batch=100, max_queued_requests=120), 4, 64)
    assert small.max_queued_requests == 100  # the largest request still fits in
    assert share_of(Settings(), 16, 80).max_queued_tokens == 1024 * 80  # whatever its texts are
    assert share_of(Settings(max_batch_tokens=64), 16, 80).max_queued_tokens == 1024 * 64
    assert share_of(Settings(max_queued_tokens=500), 16, 80).max_queued_tokens == 500


def test_a_slot_of_the_board_is_one_front_alone() -> None:
    board = Board(2)
    board.beat(1, True)
    board.closed(1, 7)
    assert (board.ready(0), board.ended(0)) == (False, 0)
    assert (board.ready(1), board.ended(1)) == (True, 7)
    assert board.silent(1) < 60 < board.silent(0)
    board.clear(1)
    assert (board.ready(1), board.ended(1)) == (False, 0)
