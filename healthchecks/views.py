"""Liveness and readiness, for whatever restarts this process or sends it requests."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from healthchecks.schema import pending_migrations

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served, and if not, why and what to do."""

    database: str  # ok or unreachable
    migrations: str  # ok, pending or unknown
    detail: str = ""
    pending: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether everything that a request needs is there."""
        return self.database == self.migrations == "ok"


@never_cache
@require_safe
def livez(_request: HttpRequest) -> JsonResponse:
    """200 as long as this process answers at all: restarting it mends no dependency."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when the database answers and is migrated, else 503 with the reason.

    The broker and Redis are not asked: submissions are taken without them.
    """
    found = readiness()
    told = {"status": "ready" if found.ready else "not ready", **asdict(found)}
    return JsonResponse(told, status=200 if found.ready else 503)


def readiness() -> Readiness:
    """Ask the database. What it says about its address or user stays out of the answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        pending = pending_migrations()
    except DatabaseError:
        connection.close()  # a broken one would fail the next request too
        return Readiness("unreachable", "unknown", "the database does not answer: see doctor")
    if pending:
        detail = f"{len(pending)} migrations are not applied: run manage.py migrate"
        return Readiness("ok", "pending", detail, tuple(pending[:MOST_NAMED]))
    return Readiness("ok", "ok")
