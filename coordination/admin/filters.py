"""Filters of long lists, each answered by an index or by a range of the key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from ansf_platform.accounts.tenancy import tenants_of
from coordination.ids import first_uuid7_at
from coordination.models import Swarm, TaskDefinition

Choices = Iterable[tuple[Any, str]]
LONGEST_NUMBER = 18  # digits
MOST = 200  # choices beside a list; beyond that the address bar takes any value
SPANS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}


class CreatedFilter(admin.SimpleListFilter):
    """By age: identifiers are ordered by time, so this is a range of the primary key."""

    title = "age"
    parameter_name = "created"
    column: ClassVar[str] = "id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(name, f"last {name}") for name in SPANS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = SPANS.get(self.value() or "")
        if span is None:
            return queryset
        return queryset.filter(**{f"{self.column}__gte": first_uuid7_at(timezone.now() - span)})


class TaskAgeFilter(CreatedFilter):
    """By the age of the task that a row belongs to."""

    title = "age of the task"
    column = "task_id"


class PriorityFilter(admin.SimpleListFilter):
    """By priority, without asking the table which there are."""

    title = "priority"
    parameter_name = "priority"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(number), str(number)) for number in range(9, -1, -1)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        number = _number(self.value())
        return queryset if number is None else queryset.filter(priority=number)


class SwarmFilter(admin.SimpleListFilter):
    """By swarm: the choices come from the small table of swarms."""

    title = "swarm"
    parameter_name = "swarm"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        found = _own(request, Swarm.objects.order_by("slug"))
        return [(str(swarm.pk), swarm.slug) for swarm in found[:MOST]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        number = _number(self.value())
        return queryset if number is None else queryset.filter(swarm_id=number)


class DefinitionFilter(admin.SimpleListFilter):
    """By the name of a definition, whatever its version."""

    title = "definition"
    parameter_name = "definition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        found = _own(request, TaskDefinition.objects.order_by("name"))
        return [(name, name) for name in found.values_list("name", flat=True).distinct()[:MOST]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.value()
        if not name:
            return queryset
        # As a list: a subquery would be planned as a join over the whole table.
        versions = _own(request, TaskDefinition.objects.filter(name=name))
        return queryset.filter(definition_id__in=list(versions.values_list("pk", flat=True)))


class TenantFilter(admin.SimpleListFilter):
    """By tenant; only shown to people with several."""

    title = "tenant"
    parameter_name = "tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        tenants = tenants_of(request)
        found = Tenant.objects.all() if tenants is None else Tenant.objects.filter(pk__in=tenants)
        choices = [(str(tenant.pk), tenant.slug) for tenant in found[:MOST]]
        return choices if len(choices) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        number = _number(self.value())
        return queryset if number is None else queryset.filter(tenant_id=number)


def _number(value: str | None) -> int | None:
    """The number in an address; None for what no column of numbers could hold."""
    if value is None or not value.isdecimal() or len(value) > LONGEST_NUMBER:
        return None
    return int(value)


def _own(request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Rows of the person's tenants."""
    tenants = tenants_of(request)
    return queryset if tenants is None else queryset.filter(tenant__in=tenants)
