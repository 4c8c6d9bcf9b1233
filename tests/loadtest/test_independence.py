"""The load test knows HTTP only."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files


def test_nothing_of_the_server_is_imported() -> None:
    code = (
        "import pkgutil, sys, nestling.loadtest as root\n"
        "for module in pkgutil.walk_packages(root.__path__, 'nestling.loadtest.'):\n"
        "    __import__(module.name)\n"
        "parts = {name.split('.')[1] for name in sys.modules if name.startswith('nestling.')}\n"
        "print(sorted(parts), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['loadtest'] False"


def test_nothing_of_the_server_is_named() -> None:
    for file in files("nestling.loadtest").rglob("*.py"):  # type: ignore[attr-defined]  # a Path
        text = file.read_text("utf-8")
        for part in ("models", "kernels", "server"):
            assert f"nestling.{part}" not in text
            assert f"..{part}" not in text
