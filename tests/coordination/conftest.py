"""Tests of rows run twice, on SQLite and on PostgreSQL."""

from __future__ import annotations

from tests.databases import _postgres_config, _pristine_sqlite, db

__all__ = ["_postgres_config", "_pristine_sqlite", "db"]
