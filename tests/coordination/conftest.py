"""Tests of rows run twice, on SQLite and on PostgreSQL; `on` asks for PostgreSQL alone."""

from __future__ import annotations

from tests.databases import _pristine_sqlite, _postgres_config, db

__all__ = ["_postgres_config", "_pristine_sqlite", "db"]
