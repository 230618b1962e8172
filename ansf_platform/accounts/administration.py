"""Rules of every admin page: whose rows one sees, what one may change, and that it is recorded.

A person needs both Django's permission on the model and, unless a superuser, a membership whose
role holds the scope. What belongs to another tenant is not there: lists leave it out, pages
answer as for an id that does not exist, and forms do not offer it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from ansf_platform.accounts import audit
from ansf_platform.accounts.models import Tenant
from ansf_platform.accounts.tenancy import TenantForm, tenants_of
from ansf_platform.requests import request_id

if TYPE_CHECKING:  # generic for the type checker only
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

EVERYBODY = ""  # as a tenant path: the row belongs to the platform, not to a tenant


@dataclass(frozen=True, slots=True)
class ObjectAction:
    """A verb for the rows of an admin: a button on a row's page and an action of the list.

    `act` gets the request and the rows, inside a transaction, and returns what to tell.
    """

    name: str
    label: str
    act: Callable[[HttpRequest, Sequence[Any]], str]
    applies: Callable[[Any], bool] = lambda _row: True


class ScopedAdmin(_ModelAdmin):
    """An admin that obeys tenants and roles and records every change."""

    form = TenantForm
    kind: ClassVar[str]  # how the audit calls such a row
    tenant_path: ClassVar[str | None] = "tenant"  # None: superusers only
    write_scope: ClassVar[str] = ""
    refusals: ClassVar[tuple[type[Exception], ...]] = ()
    change_form_template = "admin/object_actions.html"

    def object_actions(self) -> Sequence[ObjectAction]:
        """The verbs of this admin, for those who may write."""
        return ()

    def object_links(self, row: Any) -> Mapping[str, str]:
        """Links beside the buttons of a row's page: label to address."""
        return {}

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        found = super().get_queryset(request)
        tenants = tenants_of(request)
        if tenants is None or self.tenant_path == EVERYBODY:
            return found
        if self.tenant_path is None:
            return found.none()
        return found.filter(**{f"{self.tenant_path}__in": tenants})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        if any("\x00" in value for values in request.GET.lists() for value in values[1]):
            raise IncorrectLookupParameters  # PostgreSQL fails on it wherever it is looked for
        return super().get_changelist_instance(request)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        if "\x00" in object_id:
            return None
        return super().get_object(request, object_id, from_field)

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any] | None:
        """Offer only rows of tenants in which the person may write."""
        tenants = tenants_of(request, self.write_scope)
        target: Any = db_field.remote_field.model
        if tenants is not None and target is Tenant:
            kwargs["queryset"] = Tenant.objects.filter(pk__in=tenants)
        elif tenants is not None and hasattr(target, "tenant_id"):
            kwargs["queryset"] = target.objects.filter(tenant__in=tenants)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # --- permissions ----------------------------------------------------------------------
    def _may_write(self, request: HttpRequest, row: Any = None) -> bool:
        tenants = tenants_of(request, self.write_scope)
        if tenants is None:
            return True
        if not self.tenant_path:
            return False
        return bool(tenants) if row is None else self._tenant_id(row) in tenants

    def _tenant_id(self, row: Any) -> int | None:
        owner = self.owner(row)
        return owner.pk if owner else None

    def owner(self, row: Any) -> Tenant | None:
        """The tenant that a row belongs to; None for the platform's rows."""
        if not self.tenant_path:
            return None
        for step in self.tenant_path.split("__"):
            row = getattr(row, step)
        return row if isinstance(row, Tenant) else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self._may_write(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_write(request, obj)

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may use the verbs, on rows that no form can change, too."""
        allowed = admin.ModelAdmin.has_change_permission(self, request, obj)
        return allowed and self._may_write(request, obj)

    # --- changes and their record ---------------------------------------------------------
    def record(self, request: HttpRequest, verb: str, row: Any, **detail: Any) -> None:
        """Write the audit entry of a change, in its transaction."""
        audit.record(
            f"{self.kind}.{verb}",
            self.kind,
            row.pk,
            actor=f"user:{request.user.pk}",
            tenant=self.owner(row),
            request_id=request_id(request),
            **detail,
        )

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: forms.ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        if change and hasattr(obj, "revision"):
            obj.revision = models.F("revision") + 1
        super().save_model(request, obj, form, change)
        if hasattr(obj, "revision"):
            obj.refresh_from_db(fields=["revision"])
        self.record(
            request, "update" if change else "create", obj, **_differences(form, change=change)
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.record(request, "delete", obj, name=str(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                self.delete_model(request, row)

    # --- verbs ----------------------------------------------------------------------------
    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = dict(super().get_actions(request))
        if self.has_operate_permission(request):
            for action in self.object_actions():
                run = partial(self._act_on_list, action=action)
                actions[action.name] = (run, action.name, f"{action.label} selected")
        return actions

    @staticmethod
    def _act_on_list(
        model_admin: ScopedAdmin,
        request: HttpRequest,
        queryset: models.QuerySet[Any],
        *,
        action: ObjectAction,
    ) -> None:
        rows = [row for row in queryset if model_admin.has_operate_permission(request, row)]
        model_admin.perform(request, action, rows)

    def perform(self, request: HttpRequest, action: ObjectAction, rows: Sequence[Any]) -> None:
        """Do a verb in one transaction and tell what came of it."""
        try:
            with transaction.atomic():
                told = action.act(request, rows)
        except self.refusals as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, told)

    def get_urls(self) -> list[URLPattern]:
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path(
                f"<path:object_id>/do/{action.name}/",
                self.admin_site.admin_view(partial(self._act_on_object, action=action)),
                name=f"{prefix}_{action.name}",
            )
            for action in self.object_actions()
        ]
        return [*own, *super().get_urls()]

    def _act_on_object(
        self, request: HttpRequest, object_id: str, *, action: ObjectAction
    ) -> HttpResponse:
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "POST"})
        row = self.found(request, object_id)
        if not self.has_operate_permission(request, row):
            raise PermissionDenied
        self.perform(request, action, [row])
        return HttpResponseRedirect(self.address(row, "change"))

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row of that id, if the person's tenants have it. Raises Http404."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def address(self, row: Any, page: str) -> str:
        """The address of a page of this admin about a row."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=[row.pk], current_app=self.admin_site.name)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs.get("obj")
        if row is not None:
            allowed = self.has_operate_permission(request, row)
            context["object_actions"] = [
                {"label": action.label, "url": self.address(row, action.name)}
                for action in (self.object_actions() if allowed else ())
                if action.applies(row)
            ]
            links = self.object_links(row)
            context["object_links"] = [{"label": k, "url": v} for k, v in links.items()]
        return super().render_change_form(request, context, *args, **kwargs)


class ReadOnly:
    """A mixin for rows that only the platform writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _differences(form: forms.ModelForm[Any], *, change: bool) -> dict[str, Any]:
    """The changed fields before and after, as far as JSON can hold them."""
    after = {name: _plain(form.cleaned_data.get(name)) for name in form.changed_data}
    if not change:
        return {"after": after}
    before = {name: _plain(form.initial.get(name)) for name in after}
    # A field with a default counts as changed when the browser leaves out its hidden twin.
    same = [name for name in after if before[name] == after[name]]
    for name in same:
        del before[name], after[name]
    return {"before": before, "after": after}


def _plain(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return str(value)
