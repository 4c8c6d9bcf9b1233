"""Kernels with one fault each, made from the source of the real ones."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

_numbers = itertools.count()


def mutant(module: str, right: str, wrong: str, folder: Path) -> ModuleType:
    """A module of `nestling.kernels` in which the one line that holds `right` says `wrong`.

    It lies in a file of its own, since Triton reads a kernel's source from where it stands.
    """
    original = import_module(f"nestling.kernels.{module}")
    assert original.__file__
    source = Path(original.__file__).read_text("utf-8")
    assert source.count(right) == 1, f"{module}: {right!r} stands {source.count(right)} times"
    path = folder / "mutant.py"
    path.write_text(source.replace(right, wrong), "utf-8")
    name = f"{original.__package__}.mutant_{next(_numbers)}"  # its relative imports are the same
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made
