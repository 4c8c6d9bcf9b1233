"""When, where and with what a row was measured: each row has its own, as they take days."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from nestling.loadtest.results.environment import environment

PACKAGES = ("nestling", "torch", "transformers", "scikit-learn")


def origin() -> dict[str, Any]:
    """threads: of each process, for a product of matrices."""
    about = environment(PACKAGES)
    cores = os.cpu_count() or 1
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{about['hardware']['cpu']}, {cores} cores",
        "threads": int(os.environ.get("OMP_NUM_THREADS", cores)),
        "versions": about["versions"],
    }
