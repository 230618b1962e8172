"""Runs: graphs of tasks, their state derived from the tasks."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from ansf_platform.accounts.administration import ReadOnly, ScopedAdmin
from ansf_platform.keyset import KeysetAdmin
from coordination import selectors
from coordination.admin.filters import CreatedFilter, TenantFilter
from coordination.models import Edge, Run, RunNode, Task

COUNTED = 5_000  # nodes of one page of the list whose status is looked up
NODES_SHOWN = 500


@admin.register(Run)
class RunAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Runs and what became of their tasks."""

    kind = "run"
    change_form_template = "admin/coordination/run/change_form.html"
    list_display = ("name", "id", "tenant", "nodes_total", "states", "created_at")
    list_filter = (CreatedFilter, TenantFilter)
    search_fields = ("=id", "=name")
    search_help_text = "The id or the whole name of a run."
    list_per_page = 25
    fields = ("id", "tenant", "name", "nodes_total", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).prefetch_related("tenant")

    def complete_page(self, rows: list[Any]) -> None:
        """Count the statuses of the page's runs, newest first, as far as the bound goes."""
        chosen, left = [], COUNTED
        for run in rows:
            left -= run.nodes_total
            if left < 0:
                break
            chosen.append(run.pk)
        nodes = dict(RunNode.objects.filter(run__in=chosen).values_list("task_id", "run_id"))
        statuses = Task.objects.filter(pk__in=list(nodes)).values_list("pk", "status")
        counts: dict[Any, Counter[str]] = {run_id: Counter() for run_id in chosen}
        for task_id, status in statuses:
            counts[nodes[task_id]][status] += 1
        for run in rows:
            run.counts = counts.get(run.pk)

    @admin.display(description="tasks")
    def states(self, run: Any) -> str:
        """How many tasks stand where."""
        counts: Counter[str] | None = getattr(run, "counts", None)
        if counts is None:
            return "open it to see"
        return ", ".join(f"{n} {status}" for status, n in counts.most_common()) or "–"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if isinstance(run, Run):
            state = selectors.run_state(run)
            left = max(0, len(state.nodes) - NODES_SHOWN)
            context = {"state": state, "nodes": state.nodes[:NODES_SHOWN], "left": left}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))


@admin.register(RunNode)
class RunNodeAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """The names of tasks in runs."""

    kind = "run_node"
    tenant_path = "run__tenant"
    list_display = ("name", "group", "position", "run", "task_id")
    search_fields = ("=run__id",)
    search_help_text = "The id of a run."

    def get_queryset(self, request: HttpRequest) -> QuerySet[RunNode]:
        return super().get_queryset(request).prefetch_related("run")


@admin.register(Edge)
class EdgeAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Who waits for whom."""

    kind = "edge"
    tenant_path = "run__tenant"
    list_display = ("parent_id", "child_id", "when", "run")
    search_fields = ("=parent_id", "=child_id")
    search_help_text = "The id of a parent or child task."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Edge]:
        return super().get_queryset(request).prefetch_related("run")
