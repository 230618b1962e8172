"""Who may look, and whose board a person sees."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from rest_framework import exceptions

from ansf_platform.accounts.authentication import place_of, refuse_disabled
from ansf_platform.accounts.models import Membership, Tenant

CHOICES = 20  # tenants to choose from in the page's head


def part_of(page: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """For what a page fetches: without a session the whole page goes to the login, by htmx."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def answer(request: HttpRequest, **named: Any) -> HttpResponse:
            if request.user.is_authenticated:
                return view(request, **named)
            refused = HttpResponse(status=HTTPStatus.UNAUTHORIZED)
            refused["HX-Redirect"] = resolve_url(page)
            return refused

        return answer

    return decorate


def tenant_of(request: HttpRequest) -> Tenant:
    """The tenant named by ``?tenant=``, else the person's own, else a superuser's ``default``.

    Raises Django's PermissionDenied, which does not tell whether a foreign tenant exists.
    """
    try:
        tenant, _ = place_of(_person(request), request.GET.get("tenant", ""))
        refuse_disabled(tenant)
    except exceptions.PermissionDenied as refusal:
        raise PermissionDenied(str(refusal.detail)) from refusal
    return tenant


def choices_of(request: HttpRequest) -> list[str]:
    """Slugs of the tenants that the person may choose from; [] where there is no choice."""
    tenants = Tenant.objects.filter(enabled=True)
    person = _person(request)
    if not person.is_superuser:
        mine = Membership.objects.filter(user=person).values("tenant_id")
        tenants = tenants.filter(pk__in=mine)
    slugs = list(tenants.order_by("slug").values_list("slug", flat=True)[:CHOICES])
    return slugs if len(slugs) > 1 else []


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied("sign in first")
    return request.user
