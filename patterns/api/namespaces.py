"""Namespaces: define, change, reindex, look at, remove."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_stale, tagged
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.schemas import choice
from patterns import memory, namespaces
from patterns.api import shapes
from patterns.api.endpoint import PatternEndpoint, plain
from patterns.models import Namespace as NamespaceRow


class Namespaces(PatternEndpoint):
    """The namespaces of a tenant."""

    @operation(
        "List namespaces",
        scope="patterns:read",
        query=(Query("backend", choice(*NamespaceRow.Backend.values)), *PAGING),
        answers={200: shapes.NAMESPACES},
    )
    def get(self, request: Request) -> Response:
        rows = NamespaceRow.objects.filter(tenant=self.tenant)
        if self.query["backend"] is not None:
            rows = rows.filter(backend=self.query["backend"])
        return self.page(rows, shapes.namespace, newest=False)

    @operation(
        "Create a namespace",
        scope="patterns:admin",
        body=shapes.NAMESPACE_NEW,
        answers={201: shapes.NAMESPACE},
    )
    def post(self, request: Request) -> Response:
        row = namespaces.create(self.tenant, self.body)
        self.record("namespace.create", "namespace", row.slug, **self.body)
        location = f"/api/v1/namespaces/{row.slug}"
        return tagged(row, shapes.namespace(row), 201, Location=location)


class Namespace(PatternEndpoint):
    """One namespace."""

    @operation("Show a namespace", scope="patterns:read", answers={200: shapes.NAMESPACE})
    def get(self, request: Request, slug: str) -> Response:
        row = self.namespace(slug)
        return tagged(row, shapes.namespace(row))

    @operation(
        "Change a namespace",
        scope="patterns:admin",
        description="Dimension, encoder and metric only while it holds no patterns.",
        body=shapes.NAMESPACE_CHANGE,
        conditional=True,
        refuses=(409,),
        answers={200: shapes.NAMESPACE},
    )
    def patch(self, request: Request, slug: str) -> Response:
        row = self._held(request, slug)
        changed = namespaces.configure(row, self.body)
        if changed:
            told: dict[str, Any] = {name: [*map(plain, pair)] for name, pair in changed.items()}
            self.record("namespace.update", "namespace", slug, **told)
        return tagged(row, shapes.namespace(row))

    @operation(
        "Remove a namespace with all its patterns",
        scope="patterns:admin",
        conditional=True,
        answers={204: None},
    )
    def delete(self, request: Request, slug: str) -> Response:
        row = self._held(request, slug)
        count = namespaces.remove(row)
        self.record("namespace.delete", "namespace", slug, patterns=count)
        return Response(status=204)

    def _held(self, request: Request, slug: str) -> NamespaceRow:
        row = memory.lock(self.namespace(slug))
        refuse_stale(request, row)
        return row


class NamespaceReindex(PatternEndpoint):
    """A new index."""

    http_method_names = ["post"]

    @operation(
        "Make the index of a namespace anew",
        scope="patterns:admin",
        description="With `refit` the scaler is learnt from all patterns as well.",
        body=shapes.REINDEX,
        optional_body=True,
        answers={200: shapes.NAMESPACE},
    )
    def post(self, request: Request, slug: str) -> Response:
        refit = bool(self.body.get("refit"))
        row = memory.reindex(self.namespace(slug), refit=refit)
        self.record("namespace.reindex", "namespace", slug, refit=refit)
        return tagged(row, shapes.namespace(row))


class NamespaceStats(PatternEndpoint):
    """What a namespace holds."""

    @operation("Count a namespace", scope="patterns:read", answers={200: shapes.STATS})
    def get(self, request: Request, slug: str) -> Response:
        return Response(asdict(memory.stats(self.namespace(slug))))
