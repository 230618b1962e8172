"""The ledger, costs and decisions: read only."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import Endpoint
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError
from ansf_platform.schemas import choice, text
from gateway import costs
from gateway.api import shapes
from gateway.models import LedgerEntry, Period, Rollup, RouteRecord

NAME = text(100, shortest=1)
NAMED = tuple(Query(name, NAME) for name in ("swarm", "agent", "definition", "model", "provider"))
DAY = text(10, shortest=10, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\n)$")
SPAN = (
    Query("since", DAY, "First day, such as 2030-01-31 (UTC)."),
    Query("until", DAY, "First day not to include."),
)


class CsvRenderer(BaseRenderer):
    """Lets callers ask for text/csv."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return JSONRenderer().render(data)  # of a refusal: the answer itself is streamed


class MoneyEndpoint(Endpoint):
    """What the views of money share."""

    def span(self) -> tuple[date | None, date | None]:
        """The days asked about. Raises ProblemError."""
        first, last = self._day("since"), self._day("until")
        if first is not None and last is not None and first >= last:
            raise ProblemError(400, "since is not before until: let it be at least a day before")
        return first, last

    def _day(self, name: str) -> date | None:
        given = self.query[name]
        try:
            return None if given is None else date.fromisoformat(given)
        except ValueError as error:
            raise ProblemError(400, f"?{name}: there is no day {given}") from error

    def entries(self) -> Any:
        """The entries asked about."""
        rows = costs.entries_of(self.tenant, *self.span())
        names = (*(query.name for query in NAMED), "hit_level", "request_id")
        wanted = {name: self.query[name] for name in names if self.query.get(name) is not None}
        return rows.filter(**wanted)


HIT = Query("hit_level", choice(*LedgerEntry.Hit.values))
REQUEST = Query("request_id", NAME)


class Ledger(MoneyEndpoint):
    """Entries of the ledger."""

    @operation(
        "List calls of models",
        scope="gateway:read",
        description="Newest first; amounts in nano-dollars.",
        query=(*NAMED, HIT, REQUEST, *SPAN, *PAGING),
        answers={200: shapes.ENTRIES},
    )
    def get(self, request: Request) -> Response:
        return self.page(self.entries(), shapes.render_entry)


class LedgerCsv(MoneyEndpoint):
    """The ledger as a file."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    @operation(  # type: ignore[arg-type]  # a stream, no Response
        "Export calls of models as CSV",
        scope="gateway:read",
        description="Streamed, oldest first; texts that a spreadsheet would take for formulas get "
        "an apostrophe in front.",
        query=(*NAMED, HIT, *SPAN),
        answers={200: None},
        file=CsvRenderer.media_type,
    )
    def get(self, request: Request) -> HttpResponseBase:
        return StreamingHttpResponse(
            costs.csv_of_entries(self.entries()),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="ledger.csv"'},
        )


class Costs(MoneyEndpoint):
    """Sums of the ledger."""

    @operation(
        "Show costs and savings",
        scope="gateway:read",
        query=(Query("by", choice(*costs.GROUPS, default="model")), *SPAN),
        answers={200: shapes.COSTS},
    )
    def get(self, request: Request) -> Response:
        return Response(costs.report(self.tenant, self.query["by"], *self.span()).as_dict())


class Rollups(MoneyEndpoint):
    """Sums of ended days and months."""

    @operation(
        "List roll-ups of days and months",
        scope="gateway:read",
        query=(Query("period", choice(*Period.values)), *NAMED, *SPAN, *PAGING),
        answers={200: shapes.ROLLUPS},
    )
    def get(self, request: Request) -> Response:
        rows = Rollup.objects.filter(tenant=self.tenant)
        names = ("period", *(query.name for query in NAMED))
        rows = rows.filter(**{name: self.query[name] for name in names if self.query[name]})
        first, last = self.span()
        rows = rows.filter(start__gte=first) if first else rows
        return self.page(rows.filter(start__lt=last) if last else rows, shapes.render_rollup)


class Routes(MoneyEndpoint):
    """Decisions of the router."""

    @operation(
        "List routing decisions",
        scope="gateway:read",
        description="Newest first; the latest hundred thousand are kept.",
        query=(REQUEST, Query("model", NAME), *PAGING),
        answers={200: shapes.ROUTES},
    )
    def get(self, request: Request) -> Response:
        names = ("request_id", "model")
        wanted = {name: self.query[name] for name in names if self.query[name] is not None}
        rows = RouteRecord.objects.filter(tenant=self.tenant, **wanted)
        return self.page(rows, shapes.render_route)


class Route(MoneyEndpoint):
    """One decision."""

    @operation(
        "Show a routing decision with its reasons",
        scope="gateway:read",
        answers={200: shapes.ROUTE},
    )
    def get(self, request: Request, route_id: int) -> Response:
        row = RouteRecord.objects.filter(tenant=self.tenant, pk=route_id).first()
        if row is None:
            raise NotFound(f"there is no decision '{route_id}'")
        return Response(shapes.render_route(row))
