"""Which tenants a person of the admin acts in, and forms that keep their rows apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest

from ansf_platform.accounts.models import Membership
from ansf_platform.accounts.scopes import ROLES

if TYPE_CHECKING:  # generic for the type checker only
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm


def tenants_of(request: HttpRequest, scope: str = "") -> list[int] | None:
    """Ids of the tenants in which the person may use `scope`; None means all of them."""
    user = request.user
    if not user.is_authenticated:
        return []
    if user.is_superuser:
        return None
    memberships = Membership.objects.filter(user=user, tenant__enabled=True)
    return [
        membership.tenant_id
        for membership in memberships
        if not scope or scope in ROLES[membership.role]
    ]


class TenantForm(_ModelForm):
    """Refuses references from one tenant's row to another's."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        values = dict(self.cleaned_data)  # a copy: naming an error takes its field out
        owner = values.get("tenant") or getattr(self.instance, "tenant", None)
        for name, value in values.items():
            tenant_id = getattr(value, "tenant_id", None)
            if owner is not None and tenant_id is not None and tenant_id != owner.pk:
                self.add_error(name, f"{value} belongs to another tenant than {owner}")
        return cleaned
