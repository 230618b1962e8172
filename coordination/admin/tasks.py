"""Tasks: a list that stays fast at any length, and a page that tells a task's whole life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from ansf_platform.accounts.administration import ObjectAction, ReadOnly, ScopedAdmin
from ansf_platform.keyset import KeysetAdmin
from coordination import lifecycle, selectors
from coordination.admin import badges
from coordination.admin.filters import (
    CreatedFilter,
    DefinitionFilter,
    PriorityFilter,
    SwarmFilter,
    TenantFilter,
)
from coordination.errors import CoordinationError
from coordination.models import (
    TERMINAL,
    Attempt,
    LiveKey,
    RunNode,
    Status,
    Task,
    TaskDefinition,
)

REPLAYABLE = frozenset({Status.DEAD, Status.CANCELLED, Status.EXPIRED})
NEWEST_ATTEMPTS = 20


@admin.register(Task)
class TaskAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Tasks are shown and steered; only lifecycle writes them."""

    kind = "task"
    write_scope = "tasks:write"
    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError,)
    change_form_template = "admin/coordination/task/change_form.html"
    list_display = (
        "short_id",
        "definition",
        "swarm",
        "state",
        "priority",
        "attempt",
        "reason",
        "created",
        "wait",
        "duration",
    )
    list_filter = (
        "status",
        CreatedFilter,
        SwarmFilter,
        DefinitionFilter,
        PriorityFilter,
        "pool",
        TenantFilter,
    )
    search_fields = ("id",)
    search_help_text = "Id of a task or of a run, a live unique key, or the name of a definition."
    fieldsets = (
        (None, {"fields": ("id", "state", "reason", "definition_link", "swarm_link", "tenant")}),
        (
            "Order",
            {"fields": ("priority", "pool", "rank", "run_link", "lane_link", "unique_key")},
        ),
        (
            "Execution",
            {"fields": ("attempt", "fence", "claim", "agent_link", "worker_link", "waiting_on")},
        ),
        ("Limits", {"fields": ("not_before", "deadline", "policies", "cancel_requested_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        # Names are fetched for the page's rows afterwards: a join lets the planner start from
        # the small table and sort all tasks.
        return (
            super().get_queryset(request).defer("payload", "result")
            .prefetch_related("definition", "swarm")
        )  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Task], search_term: str
    ) -> tuple[QuerySet[Task], bool]:
        term = search_term.strip()
        return (queryset.filter(_matching(term)) if term else queryset), False

    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("cancel", "Cancel", self._cancel, lambda row: row.status not in TERMINAL),
            ObjectAction("retry", "Retry", self._retry, lambda row: row.status in REPLAYABLE),
        )

    def _cancel(self, request: HttpRequest, rows: Sequence[Task]) -> str:
        return self._steer(request, rows, "cancel", {"cancelled", "requested"})

    def _retry(self, request: HttpRequest, rows: Sequence[Task]) -> str:
        return self._steer(request, rows, "retry", {"replayed"})

    def _steer(self, request: HttpRequest, rows: Sequence[Task], verb: str, done: set[str]) -> str:
        """Ask lifecycle, tenant by tenant; tell how many got which answer."""
        move = lifecycle.cancel if verb == "cancel" else lifecycle.replay
        answers: Counter[str] = Counter()
        for tenant_id in sorted({row.tenant_id for row in rows}):
            own = {row.pk: row for row in rows if row.tenant_id == tenant_id}
            for task_id, answer in move(tenant_id, list(own)).items():
                answers[answer] += 1
                if answer in done:
                    self.record(request, verb, own[task_id], answer=answer)
        told = ", ".join(f"{n} {answer.replace('_', ' ')}" for answer, n in answers.items())
        return f"{verb.capitalize()}: {told or 'nothing selected'}"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        task = self.get_object(request, object_id)
        context = life_of(task) if isinstance(task, Task) else {}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    # --- columns --------------------------------------------------------------------------
    @admin.display(description="id")
    def short_id(self, task: Task) -> str:
        """The end of the id: its beginning is the time, alike in all rows of a page."""
        return badges.short(task.pk, f"…{str(task.pk)[-12:]}")

    @admin.display(description="created")
    def created(self, task: Task) -> str:
        moment = timezone.localtime(task.created_at)
        return badges.short(moment.isoformat(" "), f"{moment:%d %b %H:%M:%S}")

    @admin.display(description="status", ordering="status")
    def state(self, task: Task) -> str:
        return badges.badge(task.status)

    @admin.display(description="waited")
    def wait(self, task: Task) -> str:
        """Ready to started."""
        return _span(task.ready_at, task.started_at)

    @admin.display(description="ran")
    def duration(self, task: Task) -> str:
        """Started to finished."""
        return _span(task.started_at, task.finished_at)

    @admin.display(description="definition")
    def definition_link(self, task: Task) -> str:
        return badges.link("taskdefinition", task.definition_id, task.definition)

    @admin.display(description="swarm")
    def swarm_link(self, task: Task) -> str:
        return badges.link("swarm", task.swarm_id, task.swarm)

    @admin.display(description="run")
    def run_link(self, task: Task) -> str:
        return badges.link("run", task.run_id, task.run)

    @admin.display(description="policies")
    def policies(self, task: Task) -> str:
        """What it waits for, and about how long."""
        return "; ".join(map(_told, selectors.holds_of(task))) or "–"

    @admin.display(description="lane")
    def lane_link(self, task: Task) -> str:
        return badges.link("lane", task.lane_id, task.lane)

    @admin.display(description="agent")
    def agent_link(self, task: Task) -> str:
        return badges.link("agent", task.agent_id, task.agent)

    @admin.display(description="worker")
    def worker_link(self, task: Task) -> str:
        return badges.link("workernode", task.worker_id, task.worker)


def _told(hold: selectors.Hold) -> str:
    turn = "" if hold.starts_in is None else f", its turn in about {hold.starts_in:,.1f} s"
    return f"{hold.policy} ({hold.key}): {hold.left} {hold.unit} left{turn}"


def _span(start: Any, end: Any) -> str:
    if start is None or end is None or end < start:
        return "–"
    seconds = (end - start).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _matching(term: str) -> Q:
    """Tasks that a search means, each way answered by an index."""
    try:
        identifier = UUID(term)
    except ValueError:
        keys = LiveKey.objects.filter(key=term).values_list("task_id", flat=True)
        versions = TaskDefinition.objects.filter(name=term).values_list("pk", flat=True)
        by_definition = Q(definition_id__in=list(versions)) if versions else Q()
        return Q(pk__in=list(keys[:100])) | by_definition
    nodes = RunNode.objects.filter(run_id=identifier).values_list("task_id", flat=True)
    return Q(pk=identifier) | Q(pk__in=list(nodes[:10_000]))


def life_of(task: Task) -> dict[str, Any]:
    """What the page of a task shows beside its columns."""
    attempts: list[Attempt] = list(
        selectors.attempts_of(task).prefetch_related("worker").reverse()[:NEWEST_ATTEMPTS]
    )
    return {
        "timeline": selectors.timeline_of(task),
        "attempts": attempts[::-1],
        "log": badges.cut(selectors.log_of(task)),
        "payload": badges.pretty(selectors.payload_of(task)),
        "result": badges.pretty(selectors.result_of(task)),
    }
