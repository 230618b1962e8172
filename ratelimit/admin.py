"""Policies in the admin: judged as everywhere, written through `definitions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from ansf_platform.accounts.administration import ObjectAction, ScopedAdmin
from ansf_platform.accounts.tenancy import TenantForm, tenants_of
from ansf_platform.requests import request_id
from ratelimit import definitions
from ratelimit.definitions import Author
from ratelimit.errors import Invalid, PolicyError
from ratelimit.login import LoginForm
from ratelimit.models import Policy
from ratelimit.spec import COLUMNS, PolicySpec, spec_of, validate

admin.site.login_form = LoginForm


def author_of(request: HttpRequest) -> Author:
    """Who changes a policy here."""
    return Author(f"user:{request.user.pk}", request_id(request))


class PolicyForm(TenantForm):
    """Judges a policy as REST and YAML do, each mistake beside its field."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        values: dict[str, Any] = self.cleaned_data
        tenant = values.get("tenant", self.instance.tenant)  # None is given: the platform's
        try:
            spec = PolicySpec(**{name: values[name] for name in COLUMNS})
            validate(spec, platform=tenant is None)
        except Invalid as error:
            for each in error.errors:
                self.add_error(each.field.split("/")[1], each.message)
        same_name = Policy.objects.filter(tenant=tenant, name=values.get("name", ""))
        if same_name.exclude(pk=self.instance.pk).exists():
            self.add_error("name", "there is a policy of that name already")
        return cleaned


@admin.register(Policy)
class PolicyAdmin(ScopedAdmin):
    """Policies; enable, disable, watch only."""

    form = PolicyForm
    kind = "policy"
    write_scope = "limits:admin"
    refusals = (PolicyError,)
    fields = ("tenant", *COLUMNS)
    list_display = (
        "name", "owner_slug", "applies_to", "scope", "rate", "held_burst", "on_deny",
        "without_redis", "enabled", "shadow",
    )  # fmt: skip
    list_filter = ("applies_to", "unit", "scope", "enabled", "shadow", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = Policy.objects.order_by("name")
        tenants = tenants_of(request)
        if tenants is None:  # the platform's are shown to everybody, and changed by nobody else
            return rows
        return rows.filter(Q(tenant__in=tenants) | Q(tenant=None))

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
    def owner_slug(self, row: Policy) -> str:
        """The tenant, or that it is the platform's."""
        return row.tenant.slug if row.tenant else "(platform)"

    @admin.display(description="limit")
    def rate(self, row: Policy) -> str:
        """Units in a period."""
        if row.unit == Policy.Unit.CONCURRENCY:
            return f"{row.limit:,} at once"
        return f"{row.limit:,} {row.unit} in {row.period_seconds.normalize():f} s"

    @admin.display(description="burst", ordering="burst")
    def held_burst(self, row: Policy) -> int:
        """Units at once."""
        return row.limit if row.burst is None else row.burst

    def object_links(self, row: Any) -> Mapping[str, str]:
        try:
            return {"Watch it live": reverse("limits-policy", args=[row.pk])}
        except NoReverseMatch:  # the pages are not installed
            return {}

    # --- verbs ----------------------------------------------------------------------------
    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("enable", "Enable", self._enable, lambda row: not row.enabled),
            ObjectAction("disable", "Disable", self._disable, lambda row: row.enabled),
        )

    def _enable(self, request: HttpRequest, rows: Sequence[Policy]) -> str:
        return self._switch(request, rows, enabled=True)

    def _disable(self, request: HttpRequest, rows: Sequence[Policy]) -> str:
        return self._switch(request, rows, enabled=False)

    def _switch(self, request: HttpRequest, rows: Iterable[Policy], *, enabled: bool) -> str:
        author = author_of(request)
        names = [definitions.switch(row, author, enabled=enabled).name for row in rows]
        return f"{', '.join(names)}: {'enabled' if enabled else 'disabled'}"

    # --- changes --------------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        author = author_of(request)
        if change:
            definitions.update(Policy.objects.get(pk=obj.pk), spec_of(obj), author)
        else:
            obj.pk = definitions.create(obj.tenant, spec_of(obj), author).pk
            obj._state.adding = False  # noqa: SLF001 - the row is there now
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        definitions.delete(obj, author_of(request))
