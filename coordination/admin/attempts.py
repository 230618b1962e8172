"""What tasks leave behind: attempts, bodies, blobs and live keys."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ansf_platform.accounts.administration import ReadOnly, ScopedAdmin
from ansf_platform.keyset import KeysetAdmin
from coordination.admin import badges
from coordination.admin.filters import DefinitionFilter, SwarmFilter, TaskAgeFilter
from coordination.models import Attempt, Blob, LiveKey, TaskBody


@admin.register(Attempt)
class AttemptAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Executions and how they ended."""

    kind = "attempt"
    tenant_path = "swarm__tenant"
    list_display = (
        "task_link",
        "number",
        "definition",
        "swarm",
        "state",
        "charged",
        "worker",
        "wait_ms",
        "run_ms",
        "error_type",
        "ended_at",
    )
    list_display_links = ("number",)
    list_filter = ("outcome", "charged", TaskAgeFilter, SwarmFilter, DefinitionFilter)
    search_fields = ("=task_id",)
    search_help_text = "The id of a task."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return (
            super().get_queryset(request).defer("log", "traceback")
            .prefetch_related("definition", "swarm", "worker")
        )  # fmt: skip

    @admin.display(description="task")
    def task_link(self, attempt: Attempt) -> str:
        return badges.link("task", attempt.task_id, f"…{str(attempt.task_id)[-12:]}")

    @admin.display(description="outcome")
    def state(self, attempt: Attempt) -> str:
        return badges.badge(attempt.outcome)


@admin.register(TaskBody)
class TaskBodyAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Larger payloads and results, whoever they belong to."""

    kind = "task_body"
    tenant_path = None
    list_display = ("task_id", "kind", "blob_sha256")
    search_fields = ("=task_id",)
    search_help_text = "The id of a task."

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskBody]:
        return super().get_queryset(request).defer("content")


@admin.register(Blob)
class BlobAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """The largest values, compressed."""

    kind = "blob"
    tenant_path = None
    list_display = ("sha256", "size", "created_at")
    search_fields = ("=sha256",)
    fields = ("sha256", "size", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Blob]:
        return super().get_queryset(request).defer("data")


@admin.register(LiveKey)
class LiveKeyAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Unique keys that live tasks hold."""

    kind = "live_key"
    list_display = ("key", "tenant", "task_link")
    search_fields = ("=key",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LiveKey]:
        return super().get_queryset(request).prefetch_related("tenant")

    @admin.display(description="task")
    def task_link(self, row: LiveKey) -> str:
        return badges.link("task", row.task_id, row.task_id)
