"""The views of checks."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_stale, tagged
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError
from ansf_platform.requests import request_id
from ansf_platform.schemas import boolean, choice
from coordination.api import changes
from coordination.api.endpoint import CoordinationEndpoint
from coordination.errors import NotFound
from healthchecks import definitions, selectors
from healthchecks.api import shapes
from healthchecks.definitions import Author
from healthchecks.measuring import keep, take
from healthchecks.models import HealthCheck
from healthchecks.recording import Measured
from healthchecks.spec import CheckSpec, spec_of

RUNNERS = threading.BoundedSemaphore(4)  # a run holds a thread for up to the check's timeout


class CheckEndpoint(CoordinationEndpoint):
    """What the views of checks share: who writes, and which rows exist for them."""

    @property
    def author(self) -> Author:
        """Who changes; only superusers are trusted with what lies inside."""
        superuser = bool(getattr(self.request.user, "is_superuser", False))
        return Author(self.principal.actor, superuser, request_id(self.request._request))  # noqa: SLF001

    def visible(self) -> QuerySet[HealthCheck]:
        """The tenant's checks and the platform's."""
        return selectors.visible(self.tenant)

    def check(self, check_id: int) -> HealthCheck:
        """The check, locked when the request changes it."""
        return changes.found(self.visible(), "health check", self.request, pk=check_id)

    def refuse_platform(self, *, platform: bool) -> None:
        """403 for whoever may not write the platform's checks."""
        if platform and not self.author.trusted:
            raise ProblemError(403, "this is a check of the platform: only superusers may do that")

    def tell(self, row: HealthCheck, status: int = 200, **headers: str) -> Response:
        """An answer about one check, with its ETag."""
        return tagged(row, shapes.render(selectors.view_of(row)), status, **headers)


class Checks(CheckEndpoint):
    """The checks a tenant sees."""

    @operation(
        "List health checks",
        scope="health:read",
        query=(
            Query("kind", shapes.KIND),
            Query("severity", choice(*HealthCheck.Severity.values)),
            Query("enabled", boolean()),
            Query("platform", boolean(), "The platform's, or the tenant's own."),
            *PAGING,
        ),
        answers={200: shapes.CHECKS},
    )
    def get(self, request: Request) -> Response:
        names = ("kind", "severity", "enabled")
        wanted = {name: self.query[name] for name in names if self.query[name] is not None}
        if self.query["platform"] is not None:
            wanted["tenant__isnull"] = self.query["platform"]
        rows = selectors.with_last_ids(self.visible().filter(**wanted))
        return self.page_together(
            rows,
            lambda found: [shapes.render(view) for view in selectors.views_of(found)],
            newest=False,
        )

    @operation(
        "Create a health check",
        scope="health:admin",
        description="A tenant's check reaches public addresses only.",
        body=shapes.CHECK_NEW,
        answers={201: shapes.CHECK},
    )
    def post(self, request: Request) -> Response:
        columns = dict(self.body)
        platform = columns.pop("platform", False)
        self.refuse_platform(platform=platform)
        tenant = None if platform else self.tenant
        row = definitions.create(tenant, CheckSpec(**columns), self.author)
        return self.tell(row, 201, Location=f"/api/v1/health-checks/{row.pk}")


class Check(CheckEndpoint):
    """One check."""

    @operation("Show a health check", scope="health:read", answers={200: shapes.CHECK})
    def get(self, request: Request, check_id: int) -> Response:
        return self.tell(self.check(check_id))

    @operation(
        "Change a health check",
        scope="health:admin",
        description="Another kind, target or other params make its readings count anew.",
        body=shapes.CHECK_CHANGE,
        conditional=True,
        refuses=(409,),
        answers={200: shapes.CHECK},
    )
    def patch(self, request: Request, check_id: int) -> Response:
        row = self.check(check_id)
        self.refuse_platform(platform=row.tenant_id is None)
        refuse_stale(request, row)
        return self.tell(definitions.update(row, replace(spec_of(row), **self.body), self.author))

    @operation(
        "Remove a health check with its history",
        scope="health:admin",
        description="Refused for default checks: disable those.",
        conditional=True,
        refuses=(409,),
        answers={204: None},
    )
    def delete(self, request: Request, check_id: int) -> Response:
        row = self.check(check_id)
        self.refuse_platform(platform=row.tenant_id is None)
        refuse_stale(request, row)
        definitions.delete(row, self.author)
        return Response(status=204)


class CheckRun(CheckEndpoint):
    """Running a check on demand."""

    http_method_names = ["post"]
    row: HealthCheck
    measured: Measured

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Measure before the transaction: a slow target must not hold one open."""
        super().initial(request, *args, **kwargs)
        if request.method != "POST":
            return
        row = self.visible().filter(pk=kwargs["check_id"]).first()
        if row is None:
            raise NotFound(f"there is no health check '{kwargs['check_id']}'")
        self.refuse_platform(platform=row.tenant_id is None)
        self.row, self.measured = row, self._measure(row)

    @staticmethod
    def _measure(row: HealthCheck) -> Measured:
        if not RUNNERS.acquire(blocking=False):
            detail = "too many checks are being run on demand: try again, or wait for the watch"
            raise ProblemError(429, detail, headers={"Retry-After": "5"})
        try:
            return take(row)
        finally:
            RUNNERS.release()

    @operation(
        "Run a health check now",
        scope="health:admin",
        description="Measures, records the reading, and answers what was found.",
        refuses=(429,),
        answers={200: shapes.RUN},
    )
    def post(self, request: Request, check_id: int) -> Response:
        return Response(shapes.render_run(keep(self.row, self.measured, self.author)))
