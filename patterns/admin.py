"""Namespaces and patterns in the admin: configured as everywhere, patterns looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from ansf_platform.accounts.administration import ObjectAction, ReadOnly, ScopedAdmin
from ansf_platform.accounts.tenancy import TenantForm
from ansf_platform.keyset import KeysetAdmin
from patterns import memory, namespaces
from patterns.errors import Invalid, PatternError
from patterns.models import Namespace, Pattern

Deletion = tuple[list[Any], dict[str, int], set[str], list[Any]]


class NamespaceForm(TenantForm):
    """Judges a namespace as REST and commands do, each mistake beside its field."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.errors:
            return cleaned
        values = {name: self.cleaned_data[name] for name in self.cleaned_data if name != "tenant"}
        try:
            namespaces.judge(self.instance, values)
        except Invalid as error:
            for each in error.errors:
                self.add_error(each.field.strip("/") or None, each.message)
        except PatternError as error:
            self.add_error(None, error.detail)
        return cleaned


@admin.register(Namespace)
class NamespaceAdmin(ScopedAdmin):
    """Namespaces; reindex."""

    form = NamespaceForm
    kind = "namespace"
    write_scope = "patterns:admin"
    refusals: ClassVar[tuple[type[Exception], ...]] = (PatternError,)
    list_display = ("slug", "tenant", "live", "quota", "dimension", "encoder", "metric", "backend")
    list_filter = ("tenant", "backend", "metric", "encoder")
    list_select_related = ("tenant",)
    search_fields = ("slug", "description")
    readonly_fields = ("live", "scaler_version", "generation", "changes", "created_at", "revision")
    fieldsets = (
        (None, {"fields": ("tenant", "slug", "description")}),
        ("Vectors", {"fields": ("dimension", "encoder", "metric", "backend")}),
        ("Bounds", {"fields": ("quota", "dedup_threshold")}),
        ("Record", {"fields": readonly_fields}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("tenant", "slug", *self.readonly_fields)

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: forms.ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        super().save_model(request, obj, form, change)
        namespaces.renew(memory.lock(obj), form.changed_data)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deletion:
        """The namespaces, and how many patterns go with them: too many to be listed."""
        rows = list(objs)
        lacking = {"namespace"} if not all(self._may_write(request, row) for row in rows) else set()
        counts = {"namespaces": len(rows), "patterns": sum(row.live for row in rows)}
        return [f"{row} with {row.live} patterns" for row in rows], counts, lacking, []

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with transaction.atomic():
            self.record(request, "delete", obj, name=str(obj), patterns=obj.live)
            namespaces.remove(obj)

    def object_actions(self) -> Sequence[ObjectAction]:
        return (ObjectAction("reindex", "Reindex", self._reindex),)

    def object_links(self, row: Any) -> Mapping[str, str]:
        patterns = reverse("admin:patterns_pattern_changelist")
        return {"Patterns": f"{patterns}?namespace__id__exact={row.pk}"}

    def _reindex(self, request: HttpRequest, rows: Sequence[Namespace]) -> str:
        for row in rows:
            memory.reindex(row)
            self.record(request, "reindex", row)
        return f"the index of {', '.join(row.slug for row in rows)} is made anew"


@admin.register(Pattern)
class PatternAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """What is remembered."""

    kind = "pattern"
    tenant_path = "namespace__tenant"
    list_display = ("id", "namespace", "count", "metadata", "updated_at", "removed")
    list_filter = ("removed", "namespace")
    fields = ("namespace", "metadata", "count", "created_at", "updated_at", "removed", "changed")
    search_fields = ("=id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("vector").prefetch_related("namespace")
