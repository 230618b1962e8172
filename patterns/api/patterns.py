"""Patterns: add, search, look at, delete."""

from __future__ import annotations

from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.schemas import slug
from patterns import everywhere, memory
from patterns.api import shapes
from patterns.api.endpoint import PatternEndpoint
from patterns.errors import NotFound
from patterns.models import Pattern as PatternRow


class Patterns(PatternEndpoint):
    """The patterns of a tenant."""

    @operation(
        "List patterns",
        scope="patterns:read",
        query=(Query("namespace", slug()), *PAGING),
        answers={200: shapes.PATTERNS},
    )
    def get(self, request: Request) -> Response:
        rows = PatternRow.objects.filter(namespace__tenant=self.tenant, removed=False)
        if self.query["namespace"] is not None:
            rows = rows.filter(namespace__slug=self.query["namespace"])
        rows = rows.select_related("namespace").defer("vector")
        return self.page(rows, shapes.pattern)

    @operation(
        "Add patterns",
        scope="patterns:write",
        description="All or none. A near-duplicate is counted, and its vector averaged in.",
        body=shapes.PATTERNS_NEW,
        refuses=(404,),
        answers={200: shapes.ADDED},
    )
    def post(self, request: Request) -> Response:
        namespace = self.namespace(self.body["namespace"])
        items = [memory.NewPattern(**item) for item in self.body["items"]]
        added = memory.add_many(namespace, items)
        fresh = sum(not one.merged for one in added)
        self.record(
            "pattern.add", "namespace", namespace.slug, new=fresh, merged=len(added) - fresh
        )
        return Response({"items": [asdict(one) for one in added]})


class Pattern(PatternEndpoint):
    """One pattern."""

    def pattern(self, pattern_id: int) -> PatternRow:
        """The tenant's pattern. Raises NotFound."""
        rows = PatternRow.objects.filter(namespace__tenant=self.tenant, removed=False)
        row = rows.select_related("namespace").filter(pk=pattern_id).first()
        if row is None:
            raise NotFound(f"there is no pattern {pattern_id}")
        return row

    @operation("Show a pattern", scope="patterns:read", answers={200: shapes.PATTERN})
    def get(self, request: Request, pattern_id: int) -> Response:
        return Response(shapes.pattern(self.pattern(pattern_id), vector=True))

    @operation("Delete a pattern", scope="patterns:write", answers={204: None})
    def delete(self, request: Request, pattern_id: int) -> Response:
        row = self.pattern(pattern_id)
        memory.delete(row.namespace, [pattern_id])
        self.record("pattern.delete", "pattern", pattern_id, namespace=row.namespace.slug)
        return Response(status=204)


class PatternSearch(PatternEndpoint):
    """The patterns closest to vectors or series."""

    http_method_names = ["post"]

    @operation(
        "Search patterns",
        scope="patterns:read",
        description="Over one or several namespaces; the results of each query are merged.",
        body=shapes.SEARCH,
        reads=True,
        refuses=(404,),
        answers={200: shapes.FOUND},
    )
    def post(self, request: Request) -> Response:
        asked = dict(self.body)
        names = asked.pop("namespaces")
        found = everywhere.search(self.tenant, names, everywhere.Question(**asked))
        results = [[asdict(hit) for hit in hits] for hits in found.results]
        return Response({"metric": found.metric, "results": results})
