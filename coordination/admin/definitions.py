"""Task definitions: a saved form is a new version, and any version can be run by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ansf_platform.accounts import audit
from ansf_platform.accounts.administration import ObjectAction, ScopedAdmin
from ansf_platform.accounts.tenancy import TenantForm, tenants_of
from ansf_platform.requests import request_id
from coordination import definitions, submission
from coordination.errors import CoordinationError, Invalid, ItemError
from coordination.models import PRIORITY_RANGE, Swarm, TaskDefinition

RUN_SCOPE = "tasks:write"
SAMPLES: Mapping[str, Any] = {
    "string": "",
    "integer": 0,
    "number": 0.0,
    "boolean": False,
    "array": [],
    "object": {},
}


class DefinitionForm(TenantForm):
    """Checks what `define` would refuse, so that the mistakes stand beside their fields."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = self.cleaned_data
        tenant = given.get("tenant") or self.instance.tenant
        name = given.get("name") or self.instance.name
        columns = {column: given[column] for column in definitions.COLUMNS if column in given}
        for error in definitions.check(TaskDefinition(tenant=tenant, name=name, **columns)):
            field = error.field.strip("/")
            if field not in self.errors:
                self.add_error(field if field in self.fields else None, error.message)
        return cleaned


class RunForm(forms.Form):
    """One task of a definition, as a person asks for it."""

    payload = forms.JSONField(
        widget=forms.Textarea(attrs={"rows": 14, "cols": 90, "class": "vLargeTextField"}),
        required=False,
        help_text="A JSON object that the definition's schema accepts.",
    )
    swarm = forms.ModelChoiceField(
        Swarm.objects.none(), required=False, help_text="Empty: the definition's own."
    )
    priority = forms.IntegerField(
        required=False, validators=PRIORITY_RANGE, help_text="0 to 9, 9 most urgent."
    )
    key = forms.CharField(required=False, max_length=200, help_text="Unique key.")

    def show(self, errors: Sequence[ItemError]) -> None:
        """Put refusals beside the fields that they are about."""
        for error in errors:
            field = error.field.strip("/").split("/")[0]
            text = str(error).replace("item 0", "", 1)
            self.add_error(field if field in self.fields else None, text)


@admin.register(TaskDefinition)
class TaskDefinitionAdmin(ScopedAdmin):
    """Definitions: versions never change, saving makes the next one."""

    kind = "definition"
    write_scope = "swarms:admin"
    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError,)
    form = DefinitionForm
    list_display = (
        "name",
        "version",
        "tenant",
        "handler",
        "pool",
        "default_swarm",
        "default_priority",
        "time_limit_seconds",
        "enabled",
        "created_at",
    )
    list_filter = ("tenant", "pool", "enabled", "default_swarm")
    list_select_related = ("tenant", "default_swarm")
    search_fields = ("name", "handler")
    fieldsets = (
        (None, {"fields": ("tenant", "name", "version", "enabled", "description")}),
        ("What runs", {"fields": ("handler", "pool", "schema", "capabilities")}),
        ("Defaults", {"fields": ("default_swarm", "default_priority")}),
        (
            "Retries and limits",
            {
                "fields": (
                    "time_limit_seconds",
                    "max_attempts",
                    "backoff_seconds",
                    "backoff_cap_seconds",
                    "idempotent",
                    "replication",
                    "memory_mb",
                    "limits",
                    "cache",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = ("version", "enabled")
        return fixed if obj is None else ("tenant", "name", *fixed)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # tasks of years ago still name their version

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: forms.ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Make the next version; the one that was open in the form stays as it was."""
        known = TaskDefinition.objects.filter(tenant=obj.tenant, name=obj.name)
        before = set(known.values_list("pk", flat=True))
        columns = {column: getattr(obj, column) for column in definitions.COLUMNS}
        row = definitions.define(obj.tenant, obj.name, **columns)
        for field in TaskDefinition._meta.concrete_fields:  # noqa: SLF001 - documented as public
            setattr(obj, field.attname, getattr(row, field.attname))
        if row.pk not in before:
            self.record(request, "create", row, name=row.name, version=row.version)

    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("enable", "Enable", self._enable, lambda row: not row.enabled),
            ObjectAction("disable", "Disable", self._disable, lambda row: row.enabled),
        )

    def _enable(self, request: HttpRequest, rows: Sequence[TaskDefinition]) -> str:
        return self._switch(request, rows, enabled=True)

    def _disable(self, request: HttpRequest, rows: Sequence[TaskDefinition]) -> str:
        return self._switch(request, rows, enabled=False)

    def _switch(
        self, request: HttpRequest, rows: Sequence[TaskDefinition], *, enabled: bool
    ) -> str:
        verb = "enable" if enabled else "disable"
        for row in rows:
            TaskDefinition.objects.filter(pk=row.pk).update(enabled=enabled)
            self.record(request, verb, row, name=row.name, version=row.version)
        return f"{len(rows)} {verb}d"

    # --- run now --------------------------------------------------------------------------
    def object_links(self, row: Any) -> Mapping[str, str]:
        return {"Run now": self.address(row, "run")}

    def get_urls(self) -> list[URLPattern]:
        run = path(
            "<path:object_id>/run/",
            self.admin_site.admin_view(self.run_view),
            name="coordination_taskdefinition_run",
        )
        return [run, *super().get_urls()]

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A form that submits one task of this version."""
        definition = self.found(request, object_id)
        if not may_run(request, definition):
            raise PermissionDenied
        start = {"payload": sample_of(definition.schema)}
        form = RunForm(request.POST if request.method == "POST" else None, initial=start)
        swarms = Swarm.objects.filter(tenant=definition.tenant_id)
        form.fields["swarm"].queryset = swarms  # type: ignore[attr-defined]
        if form.is_valid():
            try:
                task_id = _submit(request, definition, form.cleaned_data)
            except Invalid as error:
                form.show(error.errors)
            except CoordinationError as error:
                form.add_error(None, error.detail)
            else:
                self.message_user(request, f"{definition} was submitted as {task_id}")
                address = reverse("admin:coordination_task_change", args=[task_id])
                return HttpResponseRedirect(address)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Run {definition}",
            "opts": self.opts,
            "original": definition,
            "form": form,
        }
        return TemplateResponse(request, "admin/coordination/taskdefinition/run.html", context)


def may_run(request: HttpRequest, definition: TaskDefinition) -> bool:
    """Whether the person may submit tasks in the definition's tenant."""
    tenants = tenants_of(request, RUN_SCOPE)
    return tenants is None or definition.tenant_id in tenants


def _submit(request: HttpRequest, definition: TaskDefinition, given: dict[str, Any]) -> str:
    swarm = given["swarm"]
    with transaction.atomic():
        placed = submission.submit(
            definition.name,
            {} if given["payload"] is None else given["payload"],
            tenant=definition.tenant,
            version=definition.version,
            swarm=swarm.slug if swarm else None,
            priority=given["priority"],
            key=given["key"] or None,
            on_conflict="reject",
        )
        audit.record(
            "task.submit",
            "task",
            placed.task_id,
            actor=f"user:{request.user.pk}",
            tenant=definition.tenant,
            request_id=request_id(request),
            definition=str(definition),
        )
    return str(placed.task_id)


def sample_of(schema: Any) -> dict[str, Any]:
    """A payload to start from: the schema's defaults, or an empty value of the right type."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    sample = {}
    for name, kind in (properties if isinstance(properties, dict) else {}).items():
        described = kind if isinstance(kind, dict) else {}
        fallback = SAMPLES.get(str(described.get("type")))
        sample[name] = described.get("default", fallback)
    return sample
