"""A private PostgreSQL for all tests of experiments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .store.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.remove()
