"""Who asks: a token or a person's session becomes one small :class:`Principal`.

``request.auth`` is the principal, whichever way it came in; views look at nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import DEFAULT_TENANT, Membership, Tenant
from ansf_platform.accounts.scopes import ROLES, SCOPES

TENANT_HEADER = "X-Tenant"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts (``token:ID`` or ``user:ID``), in which tenant, and what is allowed."""

    actor: str
    tenant: Tenant
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether `scope` is among what this principal was given."""
        return scope in self.scopes


class TokenAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer ansf_…``; another scheme is left to the next authentication."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = tokens.find(secret.strip())
        if token is None:
            raise exceptions.AuthenticationFailed(
                "the token is unknown, expired or revoked: create another under /api/v1/tokens"
            )
        refuse_disabled(token.tenant)
        principal = Principal(f"token:{token.pk}", token.tenant, frozenset(token.scopes))
        return None, principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="ansf"'


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser's session, with CSRF; ``X-Tenant`` chooses among the person's tenants."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user: User = found[0]
        tenant, scopes = place_of(user, request.headers.get(TENANT_HEADER, ""))
        refuse_disabled(tenant)
        return user, Principal(f"user:{user.pk}", tenant, scopes)


def place_of(user: User, slug: str = "") -> tuple[Tenant, frozenset[str]]:
    """The tenant that a person acts in, and the scopes there.

    1. `slug`, where it is given; else the oldest membership; else a superuser's ``default``.
    2. A superuser may do everything in every tenant.

    Raises PermissionDenied, which does not tell whether a foreign tenant exists.
    """
    memberships = Membership.objects.select_related("tenant").filter(user=user).order_by("pk")
    membership = (memberships.filter(tenant__slug=slug) if slug else memberships).first()
    if user.is_superuser:
        tenant = membership.tenant if membership else _tenant(slug or DEFAULT_TENANT)
        return tenant, frozenset(SCOPES)
    if membership is None:
        raise exceptions.PermissionDenied(
            f"you are no member of tenant {slug!r}: ask its admin"
            if slug
            else "you are a member of no tenant: ask an admin for a membership"
        )
    return membership.tenant, ROLES[membership.role]


def _tenant(slug: str) -> Tenant:
    tenant = Tenant.objects.filter(slug=slug).first() if slug.isprintable() else None
    if tenant is None:
        raise exceptions.PermissionDenied(f"there is no tenant {slug!r}: create it in the admin")
    return tenant


def refuse_disabled(tenant: Tenant) -> None:
    """Raise PermissionDenied for a tenant that has been switched off."""
    if not tenant.enabled:
        raise exceptions.PermissionDenied(
            f"tenant {tenant.slug!r} is disabled: an operator can enable it in the admin"
        )
