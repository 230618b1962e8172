"""What every REST view is: who asks, pages, revisions, audit, and errors as problems."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db.models import Model, QuerySet
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ansf_platform import pagination
from ansf_platform.accounts import audit
from ansf_platform.accounts.authentication import Principal
from ansf_platform.accounts.models import Tenant
from ansf_platform.openapi import IF_MATCH, OperationSchema
from ansf_platform.problems import ProblemError
from ansf_platform.requests import request_id

Render = Callable[[Any], dict[str, Any]]


class Endpoint(APIView):
    """A view of operations (:func:`ansf_platform.operations.operation`)."""

    schema = OperationSchema()
    # OPTIONS would tell nothing that OpenAPI does not.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    query: dict[str, Any]
    body: Any = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if any(isinstance(value, str) and "\x00" in value for value in kwargs.values()):
            raise ProblemError(404, "there is nothing of that name: it holds U+0000")

    @property
    def principal(self) -> Principal:
        """Who asks."""
        principal = self.request.auth
        assert isinstance(principal, Principal)  # noqa: S101 - HasScope let it through
        return principal

    @property
    def tenant(self) -> Tenant:
        """Whose objects exist for this request."""
        return self.principal.tenant

    def settle(self, response: HttpResponseBase) -> HttpResponseBase:
        """What to answer after the commit; a view that can wait for the outcome does it here."""
        return response

    def record(self, action: str, about: str, about_id: object, **detail: Any) -> None:
        """Write the audit entry of a change, in its transaction."""
        audit.record(
            action,
            about,
            about_id,
            actor=self.principal.actor,
            tenant=self.tenant,
            request_id=request_id(self.request._request),  # noqa: SLF001
            **detail,
        )

    def page(self, rows: QuerySet[Any, Any], render: Render, *, newest: bool = True) -> Response:
        """A page of a list, each row rendered on its own."""
        return self.page_together(rows, lambda found: [render(row) for row in found], newest=newest)

    def page_together(
        self,
        rows: QuerySet[Any, Any],
        render: Callable[[list[Any]], list[dict[str, Any]]],
        *,
        newest: bool = True,
    ) -> Response:
        """A page of a list, rendered at once: for rows that look names up."""
        request = self.request._request  # noqa: SLF001
        page = pagination.page_of(rows, request, self.query, newest=newest)
        return Response(
            {"items": render(page.rows), "next": page.next},
            headers=pagination.link_header(request, page),
        )


def etag_of(row: Model) -> str:
    """The entity tag of a configuration row: its id and revision."""
    return f'"{row.pk}.{row.revision}"'  # type: ignore[attr-defined]


def tagged(row: Model, data: dict[str, Any], status: int = 200, **headers: str) -> Response:
    """An answer about a configuration row, with its ETag."""
    return Response(data, status, headers={"ETag": etag_of(row), **headers})


def refuse_stale(request: Request, row: Model) -> None:
    """Raise 412 when ``If-Match`` names another revision than the row's. Without it, pass."""
    refuse_other_tag(request, etag_of(row))


def refuse_other_tag(request: Request, current: str) -> None:
    """Raise 412 when ``If-Match`` is there and does not name `current`; 400 when it is none."""
    given = request.headers.get("If-Match")
    if given is None or given == "*":
        return
    if not re.fullmatch(IF_MATCH, given):
        raise ProblemError(400, "If-Match must be * or entity tags in quotes, such as those given")
    if current not in {tag.strip() for tag in given.split(",")}:
        raise ProblemError(
            412, f"it has changed since: the current ETag is {current}, read it again"
        )
