"""Swarms, agents and lanes: configuration, pausing, going on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from ansf_platform.accounts.administration import ObjectAction, ReadOnly, ScopedAdmin
from ansf_platform.keyset import KeysetAdmin
from coordination import swarms
from coordination.errors import CoordinationError
from coordination.models import IN_FLIGHT, Agent, Lane, LaneEntry, Swarm, Task

Deletion = tuple[list[Any], dict[str, int], set[str], list[Any]]


@admin.register(Swarm)
class SwarmAdmin(ScopedAdmin):
    """Swarms and their share of the workers."""

    kind = "swarm"
    write_scope = "swarms:admin"
    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError,)
    list_display = (
        "slug",
        "tenant",
        "name",
        "weight",
        "agents_now",
        "agents_min",
        "agents_max",
        "paused",
        "revision",
    )
    list_filter = ("tenant", "paused")
    list_select_related = ("tenant",)
    search_fields = ("slug", "name")
    readonly_fields = ("paused", "created_at", "revision")
    fieldsets = (
        (None, {"fields": ("tenant", "slug", "name", "paused")}),
        ("Share", {"fields": ("weight", "agents_min", "agents_max", "aging_seconds")}),
        ("Abilities and limits", {"fields": ("capabilities", "limits", "budget")}),
        ("Record", {"fields": ("created_at", "revision")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Swarm]:
        found: QuerySet[Swarm] = super().get_queryset(request)
        return found.annotate(agent_count=Count("agents"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Tasks refer to a swarm, and keep their tenant: it cannot move to another one.
        return self.readonly_fields if obj is None else ("tenant", "slug", *self.readonly_fields)

    @admin.display(description="agents", ordering="agent_count")
    def agents_now(self, swarm: Any) -> int:
        return int(swarm.agent_count)

    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("pause", "Pause", self._pause, lambda row: not row.paused),
            ObjectAction("resume", "Resume", self._resume, lambda row: row.paused),
        )

    def object_links(self, row: Any) -> Mapping[str, str]:
        agents = reverse("admin:coordination_agent_changelist")
        tasks = reverse("admin:coordination_task_changelist")
        return {
            "Agents": f"{agents}?swarm__id__exact={row.pk}",
            "Tasks": f"{tasks}?swarm={row.pk}",
        }

    def _pause(self, request: HttpRequest, rows: Sequence[Swarm]) -> str:
        moved = [row for row in rows if swarms.pause(row)]
        return self._told(request, moved, "pause")

    def _resume(self, request: HttpRequest, rows: Sequence[Swarm]) -> str:
        moved = [row for row in rows if swarms.resume(row)]
        return self._told(request, moved, "resume")

    def _told(self, request: HttpRequest, moved: Sequence[Swarm], verb: str) -> str:
        for swarm in moved:
            self.record(request, verb, swarm, slug=swarm.slug)
        return f"{verb}d: {', '.join(swarm.slug for swarm in moved) or 'none'}"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deletion:
        """Refuse to delete a swarm that tasks refer to: no constraint of the database would."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        used = [swarm for swarm in objs if Task.objects.filter(swarm=swarm).exists()]
        protected = [*protected, *(f"tasks of the swarm {swarm.slug}" for swarm in used)]
        # What stands in the way is said first: no permission would remove it.
        return found, counts, set() if protected else lacking, protected


@admin.register(Agent)
class AgentAdmin(ScopedAdmin):
    """Agents, the logical executors."""

    kind = "agent"
    tenant_path = "swarm__tenant"
    write_scope = "swarms:admin"
    list_display = ("name", "swarm", "role", "slots", "capabilities", "enabled", "revision")
    list_filter = ("swarm", "enabled", "role")
    list_select_related = ("swarm",)
    search_fields = ("name", "role")
    readonly_fields = ("created_at", "revision")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("swarm", *self.readonly_fields)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deletion:
        """Refuse to delete an agent that works: disable it and wait."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        working = Task.objects.filter(status__in=IN_FLIGHT)
        busy = [agent for agent in objs if working.filter(agent=agent).exists()]
        return found, counts, lacking, [*protected, *(f"running tasks of {one}" for one in busy)]


@admin.register(Lane)
class LaneAdmin(ScopedAdmin):
    """Ordering keys; a submission makes them."""

    kind = "lane"
    write_scope = "tasks:write"
    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError,)
    list_display = ("key", "tenant", "halted", "on_dead", "next_seq")
    list_filter = ("halted", "tenant", "on_dead")
    list_select_related = ("tenant",)
    search_fields = ("key",)
    readonly_fields = ("tenant", "key", "halted", "next_seq", "revision")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def object_actions(self) -> Sequence[ObjectAction]:
        return (ObjectAction("skip", "Go on", self._go_on, lambda row: row.halted),)

    def _go_on(self, request: HttpRequest, rows: Sequence[Lane]) -> str:
        moved = [lane for lane in rows if swarms.go_on(lane)]
        for lane in moved:
            self.record(request, "skip", lane, key=lane.key)
        return f"{len(moved)} of {len(rows)} lanes were halted and go on"


@admin.register(LaneEntry)
class LaneEntryAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Who waits in which lane."""

    kind = "lane_entry"
    tenant_path = "lane__tenant"
    list_display = ("lane", "seq", "task_id")
    search_fields = ("=lane__key",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LaneEntry]:
        return super().get_queryset(request).prefetch_related("lane")
