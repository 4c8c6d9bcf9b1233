"""What pages and errors say of installing can be done: there is no Nestling on an index."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from nestling.cli import main

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "kernels", "loadtest", "models", "capacity", "server")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
WRITTEN = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *(path for room in ROOMS for kind in ("py", "js") for path in (ROOT / room).rglob(f"*.{kind}")),
]


def test_only_the_source_tree_is_installed() -> None:
    """`pip install '.[extra]'`, with an extra that there is."""
    named = set()
    for path in WRITTEN:
        for package in re.findall(r"pip install (?:-e )?['\"]?([\w.]+)\[", text := read(path)):
            assert package == ".", path
        for extras in re.findall(r"pip install (?:-e )?['\"]?\.\[([\w,]+)\]", text):
            named |= set(extras.split(","))
    assert named <= EXTRAS.keys()
    assert named >= {"cpu", "otel", "postgres", "console", "train", "loadtest"}


def test_a_command_names_the_extra_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("datasets", "matplotlib", "matplotlib.pyplot", "scipy", "scipy.stats"):
        monkeypatch.setitem(sys.modules, module, None)
    zoo, data, out = ROOT / "models" / "zoo" / "clinc150", tmp_path / "few.jsonl", tmp_path / "out"
    texts = read(ROOT / "examples" / "clinc150" / "test.jsonl").splitlines(keepends=True)
    data.write_text("".join(texts[:40]), "utf-8")
    command = ["nestling", "evaluate", str(zoo), "--data", str(data), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*command, "--sample", "32", "--repeats", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "this command needs the extra `train`: pip install '.[train]' in Nestling's source" in (
        capsys.readouterr().err
    )


def test_a_missing_module_of_ours_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nestling.server.http.keys", None)
    monkeypatch.setattr(sys, "argv", ["nestling", "key", "ana"])
    with pytest.raises(ModuleNotFoundError):
        main()


def read(path: Path) -> str:
    return path.read_text("utf-8")
