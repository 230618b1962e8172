"""Namespaces on SQLite and on PostgreSQL, with indexes in a directory of the test's own."""

from __future__ import annotations

import numpy as np
import pytest

from patterns.index import views
from patterns.models import Namespace
from tests.cli.conftest import fails, manage  # noqa: F401
from tests.databases import _postgres_config, _pristine_sqlite, db  # noqa: F401


@pytest.fixture(autouse=True)
def state_dir(settings, tmp_path):
    """Where segments lie; nothing is remembered from the test before."""
    settings.STATE_DIR = tmp_path
    views.forget_all()
    return tmp_path


@pytest.fixture
def make(tenant):
    """Make a namespace; 8 dimensions, no merging, unless told otherwise."""

    def namespace(slug="shapes", **columns):
        columns = {"tenant": tenant, "dimension": 8, "dedup_threshold": None} | columns
        return Namespace.objects.create(slug=slug, **columns)

    return namespace


@pytest.fixture
def random():
    return np.random.default_rng(3)


def pytest_collection_modifyitems(items):
    """pgvector is a part of PostgreSQL: on SQLite there is nothing to skip, either."""
    items[:] = [
        item
        for item in items
        if not getattr(item, "callspec", None)
        or (item.callspec.params.get("db"), item.callspec.params.get("backend"))
        != ("sqlite", "pgvector")
    ]
