"""Which Celery tasks may be bound to a definition, and so be called from outside."""

from __future__ import annotations

from functools import cache

from ansf_platform.celery import ENVELOPE_TASK, app

_INTERNAL = ("celery.", "ansf.")


@cache
def _import_modules() -> None:
    # Once: each time, Celery would set Django up again, and with it configure logging anew.
    app.loader.import_default_modules()


def bound_names() -> frozenset[str]:
    """Names of every registered task that is not part of the machinery."""
    _import_modules()
    return frozenset(name for name in app.tasks if not name.startswith(_INTERNAL))


def is_bound(name: str) -> bool:
    """Whether a task of that name is registered here."""
    return name != ENVELOPE_TASK and name in bound_names()


def ignored_options(name: str) -> list[str]:
    """Decorator options of a handler that have no effect here, to warn about at binding."""
    task = app.tasks[name]
    ignored = []
    if task.rate_limit:
        ignored.append("rate_limit (use a limit policy)")
    if task.time_limit or task.soft_time_limit:
        ignored.append("time_limit (set it on the definition)")
    if not task.acks_late:
        ignored.append("acks_late=False (leases decide)")
    return ignored
