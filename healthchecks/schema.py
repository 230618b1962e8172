"""Whether the database has every migration that this code has."""

from __future__ import annotations

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

Key = tuple[str, str]


@cache
def _known() -> dict[Key, tuple[Key, ...]]:
    """Each migration on disk with those it replaces; files do not change under a process."""
    loader = MigrationLoader(None)
    return {
        key: tuple(loader.disk_migrations[key].replaces)
        for key in loader.graph.nodes
        if key in loader.disk_migrations
    }


def pending_migrations() -> list[str]:
    """Names ("app.0001_initial") of migrations not applied. Raises DatabaseError."""
    applied = set(MigrationRecorder(connection).applied_migrations())
    return sorted(
        ".".join(key)
        for key, replaced in _known().items()
        if key not in applied and not (replaced and applied.issuperset(replaced))
    )
