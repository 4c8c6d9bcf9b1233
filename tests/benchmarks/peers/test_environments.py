"""Environments are made once, and an installation that fails says where its log is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.peers import environments, exports
from benchmarks.peers.environments import installed
from nestling.loadtest.errors import LoadtestError


def declare(monkeypatch: pytest.MonkeyPatch, pins: str) -> None:
    monkeypatch.setattr(environments, "requirements", lambda _: pins)


@pytest.mark.slow
def test_a_failed_installation_names_its_log_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, f"{tmp_path}/no-such-wheel.whl\n")
    with pytest.raises(LoadtestError, match=r"some: installation: failed .*install-some\.log"):
        installed("some", tmp_path)
    assert "no-such-wheel" in (tmp_path / "logs" / "install-some.log").read_text()
    declare(monkeypatch, "# nothing\n")
    assert (installed("some", tmp_path) / "python").exists()


@pytest.mark.slow
def test_an_environment_is_made_anew_only_when_its_pins_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, "# nothing\n")
    programs = installed("some", tmp_path)
    (programs / "mark").touch()
    assert installed("some", tmp_path) == programs
    assert (programs / "mark").exists()
    declare(monkeypatch, "# nothing new\n")
    assert installed("some", tmp_path) == programs
    assert not (programs / "mark").exists()


def test_our_own_needs_none(tmp_path: Path) -> None:
    assert installed(None, tmp_path) == Path(sys.executable).parent
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_names_its_log_and_leaves_nothing(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    with pytest.raises(LoadtestError, match=r"export of huggingface: failed .*\.log"):
        exports.exported("huggingface", checkpoint, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "models").glob("*/huggingface"))
    with pytest.raises(LoadtestError, match="is no directory"):
        exports.fingerprint(tmp_path / "nowhere")


def test_a_checkpoint_is_its_own_export(tmp_path: Path) -> None:
    assert exports.exported("checkpoint", tmp_path, tmp_path / "cache") == tmp_path
