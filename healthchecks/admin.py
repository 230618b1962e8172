"""Health checks in the admin: written through `definitions`, shown in their derived state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest

from ansf_platform.accounts.administration import (
    ObjectAction,
    ReadOnly,
    ScopedAdmin,
)
from ansf_platform.accounts.tenancy import TenantForm, tenants_of
from ansf_platform.requests import request_id
from coordination.admin.badges import badge
from coordination.errors import CoordinationError, Invalid
from healthchecks import definitions, selectors
from healthchecks.defaults import is_default
from healthchecks.definitions import Author
from healthchecks.measuring import run_now
from healthchecks.models import Flip, HealthCheck, Reading
from healthchecks.monitor import State
from healthchecks.probes import PROBES
from healthchecks.selectors import CheckView
from healthchecks.spec import COLUMNS, CheckSpec, spec_of, validate

MOST_RUNS = 20  # checks run by one click: each may take its whole timeout
KINDS = [(kind, f"{kind}: {probe.about}") for kind, probe in PROBES.items()]


def author_of(request: HttpRequest) -> Author:
    """Who changes a check here."""
    trusted = bool(getattr(request.user, "is_superuser", False))
    return Author(f"user:{request.user.pk}", trusted, request_id(request))


class CheckForm(TenantForm):
    """Judges a check as REST and YAML do, each mistake beside its field."""

    kind = forms.ChoiceField(choices=KINDS)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        values: dict[str, Any] = self.cleaned_data
        # An emptied JSON field is null; no parameters are an empty object.
        values["params"] = values.get("params") or {}
        tenant = values.get("tenant", self.instance.tenant)  # None is given: the platform's
        try:
            spec = CheckSpec(**{name: values[name] for name in COLUMNS})
            validate(spec, platform=tenant is None)
        except Invalid as error:
            for each in error.errors:
                self.add_error(each.field.split("/")[1], each.message)
        same_name = HealthCheck.objects.filter(tenant=tenant, name=values["name"])
        if same_name.exclude(pk=self.instance.pk).exists():
            self.add_error("name", "there is a check of that name already")
        return cleaned


class StateFilter(admin.SimpleListFilter):
    """By the state that the last flip left; paused ones apart."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in (*(state.value for state in State), selectors.PAUSED)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value()
        if wanted is None:
            return queryset
        if wanted == selectors.PAUSED:
            return queryset.filter(enabled=False)
        last = Flip.objects.filter(health_check=OuterRef("pk")).values("after")[:1]
        found = queryset.filter(enabled=True).annotate(last_state=Subquery(last))
        none = Q(last_state=None) if wanted == State.UNKNOWN else Q(pk__in=())
        return found.filter(Q(last_state=wanted) | none)


@admin.register(HealthCheck)
class HealthCheckAdmin(ScopedAdmin):
    """Checks with the state they are in; run now, enable, disable."""

    form = CheckForm
    kind = "health_check"
    write_scope = "health:admin"
    refusals = (CoordinationError,)
    fields = ("tenant", *COLUMNS)
    list_display = (
        "name",
        "owner_slug",
        "kind",
        "target",
        "state",
        "since",
        "last_message",
        "severity",
    )
    list_filter = (StateFilter, "kind", "severity", "enabled", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    search_fields = ("name", "target")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = HealthCheck.objects.order_by("name")
        tenants = tenants_of(request)
        if tenants is not None:  # the platform's are shown to everybody, and changed by nobody else
            rows = rows.filter(Q(tenant__in=tenants) | Q(tenant=None))
        return selectors.with_last_ids(rows)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        for view in selectors.views_of(changelist.result_list):
            view.check.shown = view  # type: ignore[attr-defined]
        return changelist

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("tenant",) if obj is not None else ()

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "tenant":  # without one it would be the platform's
            field.required = tenants_of(request) is not None
        return field

    @admin.display(description="tenant", ordering="tenant__slug")
    def owner_slug(self, row: HealthCheck) -> str:
        """The tenant, or that it is the platform's."""
        return row.tenant.slug if row.tenant else "(platform)"

    @admin.display(description="state")
    def state(self, row: Any) -> str:
        """The state it is shown in."""
        return badge(_shown(row).state)

    @admin.display(description="since")
    def since(self, row: Any) -> Any:
        """When the state last changed."""
        return _shown(row).since

    @admin.display(description="last reading")
    def last_message(self, row: Any) -> str:
        """What the last reading says."""
        reading = _shown(row).reading
        return reading.message if reading else ""

    # --- verbs ----------------------------------------------------------------------------
    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("run", "Run now", self._run),
            ObjectAction("enable", "Enable", self._enable, lambda row: not row.enabled),
            ObjectAction("disable", "Disable", self._disable, lambda row: row.enabled),
        )

    def perform(self, request: HttpRequest, action: ObjectAction, rows: Sequence[Any]) -> None:
        if action.name == "run":  # a slow target must not hold a transaction open
            self.message_user(request, action.act(request, rows))
        else:
            super().perform(request, action, rows)

    def _run(self, request: HttpRequest, rows: Sequence[HealthCheck]) -> str:
        author = author_of(request)
        found = [(row, run_now(row, author).measured.measurement) for row in rows[:MOST_RUNS]]
        told = "; ".join(f"{row.name}: {seen.state.value}, {seen.message}" for row, seen in found)
        rest = len(rows) - len(found)
        return told + (f"; {rest} not run: choose at most {MOST_RUNS}" if rest else "")

    def _enable(self, request: HttpRequest, rows: Iterable[HealthCheck]) -> str:
        return self._switch(request, rows, enabled=True)

    def _disable(self, request: HttpRequest, rows: Iterable[HealthCheck]) -> str:
        return self._switch(request, rows, enabled=False)

    def _switch(self, request: HttpRequest, rows: Iterable[HealthCheck], *, enabled: bool) -> str:
        author = author_of(request)
        names = [definitions.switch(row, author, enabled=enabled).name for row in rows]
        return f"{', '.join(names)}: {'enabled' if enabled else 'disabled'}"

    # --- changes --------------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        author = author_of(request)
        if change:
            definitions.update(HealthCheck.objects.get(pk=obj.pk), spec_of(obj), author)
        else:
            obj.pk = definitions.create(obj.tenant, spec_of(obj), author).pk
            obj._state.adding = False  # noqa: SLF001 - the row is there now
        obj.refresh_from_db()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and not (obj is not None and is_default(obj))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        definitions.delete(obj, author_of(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The checks alone: their readings go with them and may be thousands."""
        rows = list(objs)
        defaults = {str(row) for row in rows if not self.has_delete_permission(request, row)}
        return [str(row) for row in rows], {"health checks": len(rows)}, defaults, []


def _shown(row: Any) -> CheckView:
    view: CheckView | None = getattr(row, "shown", None)
    return view or selectors.view_of(row)


class _HistoryAdmin(ReadOnly, ScopedAdmin):
    tenant_path: ClassVar[str | None] = "health_check__tenant"
    list_select_related = ("health_check",)
    search_fields = ("health_check__name",)
    date_hierarchy = None
    show_full_result_count = False
    list_per_page = 100

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._default_manager.order_by("-pk")  # noqa: SLF001 - Django's way
        tenants = tenants_of(request)
        if tenants is None:
            return rows
        return rows.filter(Q(health_check__tenant__in=tenants) | Q(health_check__tenant=None))


@admin.register(Reading)
class ReadingAdmin(_HistoryAdmin):
    """What was measured."""

    kind = "reading"
    list_display = ("at", "health_check", "state", "value", "unit", "message", "duration_ms")
    list_filter = ("state", "health_check")


@admin.register(Flip)
class FlipAdmin(_HistoryAdmin):
    """When states changed."""

    kind = "flip"
    list_display = ("at", "health_check", "before", "after", "reason")
    list_filter = ("after", "health_check")
