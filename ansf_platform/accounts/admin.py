"""The admin of tenants, memberships, tokens and the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from ansf_platform.accounts import audit, tokens
from ansf_platform.accounts.administration import ObjectAction, ReadOnly, ScopedAdmin
from ansf_platform.accounts.models import (
    ApiToken,
    AuditEntry,
    IdempotentRequest,
    Membership,
    Tenant,
)
from ansf_platform.accounts.scopes import SCOPES
from ansf_platform.accounts.tenancy import TenantForm
from ansf_platform.keyset import KeysetAdmin
from ansf_platform.requests import request_id

if TYPE_CHECKING:  # generic for the type checker only
    _UserAdmin = UserAdmin[User]
else:
    _UserAdmin = UserAdmin

admin.site.site_url = None  # the header of `base_site.html` calls it Dashboard
admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(_UserAdmin):
    """People, with each change in the audit, too: what they may do decides about everything."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        self._record(request, "create", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        # Names of fields only: a value might be a password's hash.
        fields = list(message) if isinstance(message, list) else [str(message)]
        self._record(request, "update", obj, what=fields)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for person in queryset:
            self._record(request, "delete", person)
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, verb: str, person: Any, **detail: Any) -> None:
        audit.record(
            f"user.{verb}",
            "user",
            person.pk,
            actor=f"user:{request.user.pk}",
            request_id=request_id(request),
            name=person.get_username(),
            **detail,
        )


@admin.register(Tenant)
class TenantAdmin(ScopedAdmin):
    """Tenants; only superusers make and change them."""

    kind = "tenant"
    tenant_path = "pk"
    list_display = ("slug", "name", "enabled", "created_at")
    list_filter = ("enabled",)
    search_fields = ("slug", "name")
    readonly_fields = ("created_at",)

    def owner(self, row: Any) -> Tenant | None:
        return row if isinstance(row, Tenant) else None

    def _may_write(self, request: HttpRequest, row: Any = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("slug", *self.readonly_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its audit trail would go with it: disable it instead


@admin.register(Membership)
class MembershipAdmin(ScopedAdmin):
    """Who has which role where."""

    kind = "membership"
    write_scope = "tokens:admin"  # whoever may give machines access may give it to people
    list_display = ("user", "tenant", "role")
    list_filter = ("tenant", "role")
    list_select_related = ("user", "tenant")
    search_fields = ("user__username",)


class TokenForm(TenantForm):
    """Scopes are ticked, not typed."""

    scopes = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {about}") for name, about in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiToken
        fields = ("tenant", "name", "scopes", "expires_at")


@admin.register(ApiToken)
class ApiTokenAdmin(ScopedAdmin):
    """Tokens; a secret is shown once, in the message after it was made."""

    kind = "token"
    write_scope = "tokens:admin"
    form = TokenForm
    list_display = (
        "name",
        "tenant",
        "prefix",
        "usable",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    search_fields = ("name", "prefix")
    readonly_fields = ("prefix", "created_at", "last_used_at", "revoked_at", "revision")
    fields = ("tenant", "name", "scopes", "expires_at", *readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("tenant", *self.readonly_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the audit names tokens by id: revoke it instead

    @admin.display(boolean=True, description="usable")
    def usable(self, token: ApiToken) -> bool:
        expired = token.expires_at is not None and token.expires_at <= timezone.now()
        return token.revoked_at is None and not expired

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: forms.ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        token, secret = tokens.issue(obj.tenant, obj.name, obj.scopes, obj.expires_at)
        obj.__dict__.update(token.__dict__)
        self.record(request, "create", token, name=token.name, scopes=token.scopes)
        self._show(request, token, secret)

    def object_actions(self) -> Sequence[ObjectAction]:
        return (
            ObjectAction("rotate", "Rotate", self._rotate, lambda row: row.revoked_at is None),
            ObjectAction("revoke", "Revoke", self._revoke, lambda row: row.revoked_at is None),
        )

    def _rotate(self, request: HttpRequest, rows: Sequence[ApiToken]) -> str:
        usable = [row for row in rows if row.revoked_at is None]
        for token in usable:
            secret = tokens.rotate(token)
            self.record(request, "rotate", token, name=token.name)
            self._show(request, token, secret)
        return f"{len(usable)} rotated: the old secrets are refused from now on"

    def _revoke(self, request: HttpRequest, rows: Sequence[ApiToken]) -> str:
        for token in rows:
            tokens.revoke(token)
            self.record(request, "revoke", token, name=token.name)
        return f"{len(rows)} revoked"

    def _show(self, request: HttpRequest, token: ApiToken, secret: str) -> None:
        told = f"The secret of {token.name}, shown only now: {secret}"
        self.message_user(request, told, messages.WARNING)


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Answers kept for requests that may come again."""

    kind = "idempotent_request"
    tenant_path = None
    list_display = ("actor", "key", "response_status", "created_at")
    search_fields = ("=actor", "=key")

    def get_queryset(self, request: HttpRequest) -> QuerySet[IdempotentRequest]:
        return super().get_queryset(request).defer("response_body")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ScopedAdmin, KeysetAdmin):
    """Who changed what."""

    kind = "audit_entry"
    list_display = ("at", "actor", "action", "object_type", "object_id", "tenant", "request_id")
    search_fields = ("=object_id", "=actor", "=action", "=request_id")
    search_help_text = "A whole object id, actor (user:1), action (swarm.pause) or request id."
    list_filter: ClassVar[tuple[str, ...]] = ("tenant",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return super().get_queryset(request).prefetch_related("tenant")
