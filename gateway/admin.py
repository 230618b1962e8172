"""The gateway in the admin: rows judged and written as everywhere; money and decisions to look at.

Providers and models are the superusers'; a tenant's admins write its policies and budgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from ansf_platform.accounts.administration import EVERYBODY, ObjectAction, ReadOnly, ScopedAdmin
from ansf_platform.accounts.tenancy import TenantForm, tenants_of
from gateway import definitions, spending
from gateway.definitions import columns_of, kind_of
from gateway.models import (
    Budget,
    GatewayPolicy,
    LanguageModel,
    LedgerEntry,
    Provider,
    Rollup,
    RouteRecord,
)
from gateway.router import dollars
from gateway.schemas import BUDGET, MODEL, POLICY, PROVIDER
from ratelimit.admin import author_of
from ratelimit.errors import PolicyError

READ_SCOPE = "gateway:read"
WRITE_SCOPE = "gateway:admin"


class ColumnsForm(TenantForm):
    """Judges a row as REST does, each mistake beside its field."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        kind = kind_of(self.instance)
        for error in kind.validate({name: self._value(name) for name in kind.columns}):
            # An element of a list is judged beside the list.
            self.add_error(error.field.split("/")[1], error.message)
        tenant = self.cleaned_data.get("tenant", getattr(self.instance, "tenant", None))
        name = self.cleaned_data.get("name", "")
        if definitions.is_taken(kind, tenant, name, self.instance.pk):
            self.add_error("name", f"there is a {kind.name} of that name already")
        return cleaned

    def _value(self, name: str) -> Any:
        """What the form says of a column, or the row where it does not ask."""
        if name not in self.cleaned_data:
            return getattr(self.instance, name)
        value = self.cleaned_data[name]
        if isinstance(value, Provider):
            return value.name
        if value is None and isinstance(self.instance._meta.get_field(name), models.JSONField):  # noqa: SLF001
            value = self.cleaned_data[name] = []
        return value


class DefinedAdmin(ScopedAdmin):
    """Rows that are written through :mod:`gateway.definitions`; enable and disable."""

    form = ColumnsForm
    write_scope = WRITE_SCOPE
    refusals = (PolicyError,)
    list_per_page = 50
    search_fields = ("name",)

    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("enable", "Enable", self._enable, lambda row: not row.enabled),
            ObjectAction("disable", "Disable", self._disable, lambda row: row.enabled),
        )

    def _enable(self, request: HttpRequest, rows: Sequence[Any]) -> str:
        return self._switch(request, rows, enabled=True)

    def _disable(self, request: HttpRequest, rows: Sequence[Any]) -> str:
        return self._switch(request, rows, enabled=False)

    def _switch(self, request: HttpRequest, rows: Sequence[Any], *, enabled: bool) -> str:
        author = author_of(request)
        done = [definitions.update(row, {"enabled": enabled}, author) for row in rows]
        return f"{', '.join(map(str, done))}: {'enabled' if enabled else 'disabled'}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("tenant",) if obj is not None and hasattr(obj, "tenant") else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        author = author_of(request)
        columns = columns_of(obj)
        if change:
            definitions.update(type(obj)._default_manager.get(pk=obj.pk), columns, author)  # noqa: SLF001
        else:
            made = definitions.create(kind_of(obj), getattr(obj, "tenant", None), columns, author)
            obj.pk = made.pk
            obj._state.adding = False  # noqa: SLF001 - the row is there now
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        definitions.delete(obj, author_of(request))


class SharedAdmin(DefinedAdmin):
    """Rows of a tenant, and those of the platform: seen by everybody, written by superusers."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._default_manager.order_by("name")  # noqa: SLF001
        tenants = tenants_of(request)
        return rows if tenants is None else rows.filter(Q(tenant__in=tenants) | Q(tenant=None))

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "tenant":  # without one it would be the platform's
            field.required = tenants_of(request) is not None
        return field

    @admin.display(description="tenant", ordering="tenant__slug")
    def owner_slug(self, row: Any) -> str:
        """The tenant, or that it is the platform's."""
        return row.tenant.slug if row.tenant else "(platform)"


@admin.register(Provider)
class ProviderAdmin(DefinedAdmin):
    """Who answers; the key itself is never shown, nor stored."""

    kind = "gateway.provider"
    tenant_path = EVERYBODY
    fields = tuple(PROVIDER)
    list_display = ("name", "kind", "base_url", "key_env", "slots", "enabled")
    list_filter = ("kind", "enabled")


@admin.register(LanguageModel)
class LanguageModelAdmin(SharedAdmin):
    """Models with their prices."""

    kind = "gateway.model"
    fields = ("tenant", *MODEL)
    list_display = (
        "name", "owner_slug", "provider", "prices_told", "context_window", "quality", "enabled",
    )  # fmt: skip
    list_filter = ("provider", "enabled", "tenant")
    list_select_related = ("tenant", "provider")

    def _may_write(self, request: HttpRequest, row: Any = None) -> bool:
        return tenants_of(request) is None

    @admin.display(description="for a million tokens, in / out")
    def prices_told(self, row: LanguageModel) -> str:
        """Prices in dollars."""
        return f"{dollars(row.input_price)} / {dollars(row.output_price)}"


@admin.register(GatewayPolicy)
class GatewayPolicyAdmin(SharedAdmin):
    """How calls are cached, routed and compressed."""

    kind = "gateway.policy"
    fields = ("tenant", *POLICY)
    list_display = (
        "name", "owner_slug", "cache", "strictness", "shadow", "quality_floor", "epsilon",
        "compress", "enabled",
    )  # fmt: skip
    list_filter = ("enabled", "strictness", "shadow", "tenant")
    list_select_related = ("tenant",)

    def formfield_for_choice_field(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        # Only superusers let every tenant be served a tenant's answers.
        if db_field.name == "visibility" and tenants_of(request) is not None:
            kwargs["choices"] = [
                choice
                for choice in GatewayPolicy.Visibility.choices
                if choice[0] != GatewayPolicy.Visibility.GLOBAL
            ]
        return super().formfield_for_choice_field(db_field, request, **kwargs)


@admin.register(Budget)
class BudgetAdmin(DefinedAdmin):
    """Budgets with how they stand."""

    kind = "gateway.budget"
    fields = ("tenant", *BUDGET)
    list_display = ("name", "tenant", "counts", "period", "spent", "bounds", "state", "enabled")
    list_filter = ("period", "scope", "enabled", "tenant")
    list_select_related = ("tenant",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if tenants_of(request) is None else (*fixed, "imposed")

    def _may_write(self, request: HttpRequest, row: Any = None) -> bool:
        if row is not None and row.imposed and tenants_of(request) is not None:
            return False
        return super()._may_write(request, row)

    @admin.display
    def counts(self, row: Budget) -> str:
        """What it is about."""
        return f"{row.scope} {row.subject}".strip()

    @admin.display(description="soft / hard")
    def bounds(self, row: Budget) -> str:
        """Its bounds in dollars."""
        return " / ".join("–" if each is None else dollars(each) for each in (row.soft, row.hard))

    @admin.display
    def spent(self, row: Budget) -> str:
        """What this period has taken, calls under way included."""
        level = spending.levels_of([row])[0]
        return dollars(level.spent + level.held)

    @admin.display
    def state(self, row: Budget) -> str:
        """Ok, warning or exhausted."""
        return spending.levels_of([row])[0].state


class MoneyAdmin(ReadOnly, ScopedAdmin):
    """Rows that only calls write."""

    list_per_page = 50
    show_full_result_count = False
    list_select_related = ("tenant",)

    @admin.display(ordering="cost")
    def spent(self, row: Any) -> str:
        """Dollars."""
        return dollars(row.cost)

    @admin.display
    def saved(self, row: Any) -> str:
        """Dollars below the baseline."""
        return dollars(row.baseline - row.cost)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(MoneyAdmin):
    """Every call once."""

    kind = "gateway.ledger"
    list_display = (
        "at", "tenant", "model", "hit_level", "tokens_in", "tokens_out", "spent", "saved",
        "swarm", "definition",
    )  # fmt: skip
    list_filter = ("hit_level", "task_class", "tenant")
    search_fields = ("=request_id",)
    ordering = ("-id",)


@admin.register(Rollup)
class RollupAdmin(MoneyAdmin):
    """Sums of days and months."""

    kind = "gateway.rollup"
    list_display = (
        "start", "period", "tenant", "model", "swarm", "definition", "calls", "hits", "spent",
        "saved",
    )  # fmt: skip
    list_filter = ("period", "tenant")
    ordering = ("-id",)


@admin.register(RouteRecord)
class RouteRecordAdmin(ReadOnly, ScopedAdmin):
    """Decisions of the router."""

    kind = "gateway.route"
    list_display = (
        "at", "tenant", "model", "task_class", "cheap_suffices", "expected", "explored", "policy",
    )  # fmt: skip
    list_filter = ("task_class", "explored", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=request_id",)
    ordering = ("-id",)

    @admin.display(description="expected cost", ordering="expected_cost")
    def expected(self, row: RouteRecord) -> str:
        """Dollars."""
        return dollars(row.expected_cost)
