"""One checkpoint's TA in the forms that peers load."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from nestling.loadtest.errors import LoadtestError

from .environments import installed, logged
from .registry import CHECKPOINT, HUGGINGFACE, ONNX, ONNX_INT8

APPS = Path(__file__).with_name("servers")
"""Programs for the interpreters of those environments."""
EXPORTER = "export"
"""The environment that makes ONNX graphs of a Hugging Face directory."""
GRAPHS = {ONNX: ("export_onnx.py", HUGGINGFACE), ONNX_INT8: ("quantize.py", ONNX)}
"""By which program, and of which form."""


def fingerprint(checkpoint: Path) -> str:
    """sha256 over names and contents of a checkpoint's files.

    Raises LoadtestError if it is no directory.
    """
    if not checkpoint.is_dir():
        raise LoadtestError(f"checkpoint: {checkpoint} is no directory")
    digest = hashlib.sha256()
    for file in sorted(checkpoint.iterdir()):
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def exported(form: str, checkpoint: Path, cache: Path) -> Path:
    """The directory of a form, made if it is not there.

    Raises LoadtestError that names the log of what failed.
    """
    if form == CHECKPOINT:
        return checkpoint
    folder = cache / "models" / fingerprint(checkpoint)[:12] / form
    if folder.exists():
        return folder
    partial = folder.with_name(f"{form}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    logged(
        _command(form, checkpoint, cache, partial),
        cache / "logs" / f"export-{form}.log",
        f"export of {form}",
    )
    partial.rename(folder)
    return folder


def _command(form: str, checkpoint: Path, cache: Path, out: Path) -> list[str]:
    if form == HUGGINGFACE:
        nestling = str(installed(None, cache) / "nestling")
        return [nestling, "export", str(checkpoint), "--student", "ta", "--out", str(out)]
    if form not in GRAPHS:
        raise ValueError(f"form: {form!r} is unknown")
    program, source = GRAPHS[form]
    python = str(installed(EXPORTER, cache) / "python")
    made = exported(source, checkpoint, cache)
    return [python, str(APPS / program), str(made), str(out)]
