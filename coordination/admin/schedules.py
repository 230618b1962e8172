"""Schedules and what they fired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ansf_platform.accounts.administration import ObjectAction, ReadOnly, ScopedAdmin
from ansf_platform.accounts.tenancy import TenantForm
from ansf_platform.keyset import KeysetAdmin
from coordination import schedules
from coordination.admin import badges
from coordination.errors import CoordinationError
from coordination.models import Firing, Schedule, TaskDefinition


class ScheduleForm(TenantForm):
    """Checks the timing and that the definition exists."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = self.cleaned_data
        timing = Schedule(
            cron=given.get("cron", ""),
            interval_seconds=given.get("interval_seconds"),
            timezone=given.get("timezone", "UTC"),
        )
        for error in schedules.check(timing):
            field = error.field.strip("/")
            if field not in self.errors:
                self.add_error(field, error.message)
        tenant = given.get("tenant") or getattr(self.instance, "tenant", None)
        name = given.get("definition_name")
        if name and not TaskDefinition.objects.filter(tenant=tenant, name=name).exists():
            self.add_error("definition_name", f"{tenant} has no task definition {name!r}")
        return cleaned


@admin.register(Schedule)
class ScheduleAdmin(ScopedAdmin):
    """Tasks submitted again and again."""

    kind = "schedule"
    write_scope = "schedules:admin"
    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError,)
    form = ScheduleForm
    list_display = (
        "name",
        "tenant",
        "definition_name",
        "cron",
        "interval_seconds",
        "enabled",
        "next_at",
        "last_error",
    )
    list_filter = ("tenant", "enabled")
    list_select_related = ("tenant",)
    search_fields = ("name", "definition_name")
    readonly_fields = ("next_at", "last_error", "created_at", "revision")
    fieldsets = (
        (None, {"fields": ("tenant", "name", "enabled")}),
        ("What", {"fields": ("definition_name", "swarm", "payload", "priority")}),
        ("When", {"fields": ("cron", "interval_seconds", "timezone", "catch_up", "overlap")}),
        ("State", {"fields": ("next_at", "last_error", "created_at", "revision")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("tenant", *self.readonly_fields)

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: forms.ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        super().save_model(request, obj, form, change)
        schedules.arm(obj)

    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("run_now", "Run now", self._run),
            ObjectAction("enable", "Enable", self._enable, lambda row: not row.enabled),
            ObjectAction("disable", "Disable", self._disable, lambda row: row.enabled),
        )

    def _run(self, request: HttpRequest, rows: Sequence[Schedule]) -> str:
        submitted = []
        for schedule in rows:
            task_id = str(schedules.run_now(schedule).task_id)
            self.record(request, "run", schedule, name=schedule.name, task=task_id)
            submitted.append(f"{schedule.name} as {task_id}")
        return f"Submitted: {', '.join(submitted) or 'none'}"

    def _enable(self, request: HttpRequest, rows: Sequence[Schedule]) -> str:
        return self._switch(request, rows, enabled=True)

    def _disable(self, request: HttpRequest, rows: Sequence[Schedule]) -> str:
        return self._switch(request, rows, enabled=False)

    def _switch(self, request: HttpRequest, rows: Sequence[Schedule], *, enabled: bool) -> str:
        verb = "enable" if enabled else "disable"
        for schedule in rows:
            schedules.set_enabled(schedule, enabled=enabled)
            self.record(request, verb, schedule, name=schedule.name)
        return f"{len(rows)} {verb}d"


@admin.register(Firing)
class FiringAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """That a schedule fired, or why not."""

    kind = "firing"
    tenant_path = "schedule__tenant"
    list_display = ("schedule", "due_at", "fired_at", "task_link", "skipped")
    list_filter = ("schedule",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Firing]:
        return super().get_queryset(request).prefetch_related("schedule")

    @admin.display(description="task")
    def task_link(self, firing: Firing) -> str:
        return badges.link("task", firing.task_id, firing.task_id)
