"""Providers, models, policies and budgets: list, create, show, change, remove.

A member of a tenant writes its policies and budgets; providers, models, the platform's policies
and imposed budgets are the superusers'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.accounts.models import Tenant
from ansf_platform.endpoints import Endpoint, refuse_stale, tagged
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError
from ansf_platform.requests import request_id
from ansf_platform.schemas import boolean
from gateway import definitions, spending
from gateway.api import shapes
from gateway.models import Budget, GatewayPolicy, Provider
from gateway.schemas import BUDGETS, MODELS, POLICIES, PROVIDERS, Kind
from ratelimit.api import as_problem
from ratelimit.definitions import Author
from ratelimit.errors import NotFound, PolicyError

ENABLED = (Query("enabled", boolean()), *PAGING)


class RowsEndpoint(Endpoint):
    """What the views of these rows share: whose exist, who may write, errors as problems."""

    kind: ClassVar[Kind]

    def handle_exception(self, exc: Exception) -> Response:
        known = isinstance(exc, PolicyError)
        return super().handle_exception(as_problem(exc) if known else exc)  # type: ignore[arg-type]

    @property
    def trusted(self) -> bool:
        """Whether the platform's rows may be changed."""
        return bool(getattr(self.request.user, "is_superuser", False))

    @property
    def author(self) -> Author:
        """Who changes."""
        return Author(self.principal.actor, request_id(self.request._request))  # noqa: SLF001

    def visible(self) -> QuerySet[Any, Any]:
        """The tenant's rows, and those that are everybody's."""
        rows: QuerySet[Any, Any] = self.kind.rows._default_manager.all()  # noqa: SLF001
        if self.kind is BUDGETS:
            return rows.filter(tenant=self.tenant)
        if self.kind is PROVIDERS:
            return rows
        return rows.filter(Q(tenant=self.tenant) | Q(tenant=None)).select_related("tenant")

    def row(self, row_id: int, *, write: bool = False) -> Any:
        """The row, fit to be changed when `write`. Raises NotFound, ProblemError."""
        row = self.visible().filter(pk=row_id).first()
        if row is None:
            raise NotFound(f"there is no {self.kind.name} '{row_id}'")
        if write:
            self.refuse_platform(platform=_is_platforms(row))
            refuse_stale(self.request, row)
        return row

    def refuse_platform(self, *, platform: bool) -> None:
        """403 for whoever may not write the platform's rows."""
        if platform and not self.trusted:
            raise ProblemError(
                403, f"this {self.kind.name} is the platform's: only superusers may do that"
            )

    def refuse_sharing(self, columns: Mapping[str, Any]) -> None:
        """403 for whoever may not let every tenant be served a tenant's answers."""
        if columns.get("visibility") == GatewayPolicy.Visibility.GLOBAL and not self.trusted:
            raise ProblemError(
                403, "'global' gives answers to every tenant: only superusers may do that"
            )

    def rendered(self, row: Any) -> dict[str, Any]:
        """The row as JSON; a budget with how it stands."""
        if isinstance(row, Budget):
            return shapes.render_level(spending.levels_of([row])[0])
        return shapes.render(row)

    def listed(self, rows: list[Any]) -> list[dict[str, Any]]:
        """A page as JSON."""
        if self.kind is BUDGETS:
            return [shapes.render_level(level) for level in spending.levels_of(rows)]
        return [shapes.render(row) for row in rows]

    def answer_list(self) -> Response:
        """A page of the rows."""
        rows = self.visible()
        if self.query["enabled"] is not None:
            rows = rows.filter(enabled=self.query["enabled"])
        return self.page_together(rows, self.listed, newest=False)

    def answer_row(self, row_id: int) -> Response:
        """One row."""
        row = self.row(row_id)
        return tagged(row, self.rendered(row))

    def answer_new(self, path: str) -> Response:
        """A new row."""
        columns = dict(self.body)
        owner = self._owner(columns)
        platform = owner is None or self.kind is MODELS or bool(columns.get("imposed"))
        self.refuse_platform(platform=platform)
        self.refuse_sharing(columns)
        row: Any = definitions.create(self.kind, owner, columns, self.author)
        location = f"/api/v1/gateway/{path}/{row.pk}"
        return tagged(row, self.rendered(row), 201, Location=location)

    def _owner(self, columns: dict[str, Any]) -> Tenant | None:
        """Whose a new row is; takes out of `columns` what says so."""
        if self.kind is PROVIDERS:
            return None
        if self.kind is MODELS:
            slug = columns.pop("tenant", None)
            return self._tenant(slug) if slug and self.trusted else None
        return None if columns.pop("platform", False) else self.tenant

    def _tenant(self, slug: str) -> Tenant:
        found = Tenant.objects.filter(slug=slug).first()
        if found is None:
            raise NotFound(f"there is no tenant '{slug}'")
        return found

    def answer_change(self, row_id: int) -> Response:
        """A changed row."""
        self.refuse_platform(platform=bool(self.body.get("imposed")))
        self.refuse_sharing(self.body)
        row: Any = definitions.update(self.row(row_id, write=True), self.body, self.author)
        return tagged(row, self.rendered(row))

    def answer_removal(self, row_id: int) -> Response:
        """No row any more."""
        definitions.delete(self.row(row_id, write=True), self.author)
        return Response(status=204)


def _is_platforms(row: Any) -> bool:
    if isinstance(row, Budget):
        return row.imposed
    return isinstance(row, Provider) or definitions.kind_of(row) is MODELS or row.tenant_id is None


def _collection(kind: Kind, path: str, words: tuple[str, str], about: str = "") -> type[Endpoint]:
    """The view of a list of one kind."""

    class Rows(RowsEndpoint):
        @operation(
            f"List {words[1]}",
            scope="gateway:read",
            query=ENABLED,
            answers={200: shapes.PAGES[kind.name]},
        )
        def get(self, request: Request) -> Response:
            return self.answer_list()

        @operation(
            f"Create {words[0]}",
            scope="gateway:admin",
            description=f"{about} In force everywhere within two seconds.".strip(),
            body=shapes.NEW[kind.name],
            answers={201: shapes.ROWS[kind.name]},
        )
        def post(self, request: Request) -> Response:
            return self.answer_new(path)

    return _named(Rows, kind, f"{path.title()}List")


def _single(kind: Kind, path: str, words: tuple[str, str], about: str = "") -> type[Endpoint]:
    """The view of one row of one kind."""

    class Row(RowsEndpoint):
        @operation(f"Show {words[0]}", scope="gateway:read", answers={200: shapes.ROWS[kind.name]})
        def get(self, request: Request, row_id: int) -> Response:
            return self.answer_row(row_id)

        @operation(
            f"Change {words[0]}",
            scope="gateway:admin",
            description=f"{about} In force everywhere within two seconds.".strip(),
            body=shapes.CHANGE[kind.name],
            conditional=True,
            refuses=(409,),
            answers={200: shapes.ROWS[kind.name]},
        )
        def patch(self, request: Request, row_id: int) -> Response:
            return self.answer_change(row_id)

        @operation(
            f"Remove {words[0]}",
            scope="gateway:admin",
            conditional=True,
            refuses=(409,),
            answers={204: None},
        )
        def delete(self, request: Request, row_id: int) -> Response:
            return self.answer_removal(row_id)

    return _named(Row, kind, path.title())


def _named(view: type[RowsEndpoint], kind: Kind, name: str) -> type[Endpoint]:
    view.kind = kind
    view.__name__ = view.__qualname__ = name
    view.__doc__ = f"{name}, of {kind.name} rows."
    return view


_SUPERUSERS = "Superusers only."
_WORDS: dict[str, tuple[Kind, tuple[str, str], str]] = {
    "providers": (PROVIDERS, ("a provider of models", "providers of models"), _SUPERUSERS),
    "models": (MODELS, ("a language model", "language models"), _SUPERUSERS),
    "policies": (POLICIES, ("a gateway policy", "gateway policies"), ""),
    "budgets": (BUDGETS, ("a budget", "budgets"), ""),
}
COLLECTIONS = {path: _collection(kind, path, words, about)
               for path, (kind, words, about) in _WORDS.items()}  # fmt: skip
SINGLES = {path: _single(kind, path, words, about)
           for path, (kind, words, about) in _WORDS.items()}  # fmt: skip
