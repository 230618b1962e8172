"""The Celery tasks of this package, found by name when a worker starts."""

from __future__ import annotations

from dashboard.demo import handlers

__all__ = ["handlers"]
