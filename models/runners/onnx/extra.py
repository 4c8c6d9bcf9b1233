"""The optional packages that ONNX needs."""

from __future__ import annotations

from importlib.util import find_spec

from ...errors import NestlingError, missing_extra

GRAPHS = ("onnx",)
RUNTIME = ("onnxruntime",)


def require(*packages: str) -> None:
    """Raises NestlingError that names the packages which are not installed, and the extra."""
    if missing := [package for package in packages if find_spec(package) is None]:
        raise NestlingError(missing_extra(", ".join(missing), "ONNX", "cpu"))
