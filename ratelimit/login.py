"""Attempts to sign in, limited by address and by user name before a password is looked at.

An attempt that succeeds is given back: who knows the password is not counted.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from ratelimit import policies, pool
from ratelimit.buckets import Bucket
from ratelimit.headers import wait_of
from ratelimit.subject import Subject
from ratelimit.throttle import address_of

SUCCEEDED = 302
TOO_MANY = 429
REFUSED_FLAG = "ansf.login_refused"


class LoginForm(AdminAuthenticationForm):
    """The admin's form, which looks at no password once there were too many attempts."""

    def clean(self) -> dict[str, Any]:
        told = self.request.META.get(REFUSED_FLAG) if self.request else None
        if told:
            raise ValidationError(told, code="limited")
        return super().clean()


def buckets_of(request: HttpRequest) -> tuple[Bucket, ...]:
    """The buckets that an attempt counts in."""
    name = unicodedata.normalize("NFKC", request.POST.get("username", "")).strip().casefold()
    return policies.applying("login", Subject(user=name or None, address=address_of(request)))


@never_cache
@sensitive_post_parameters("password")
@csrf_protect
def login(request: HttpRequest) -> HttpResponseBase:
    """The admin's login page behind the policies of the place "login"."""
    if request.method != "POST":
        return admin.site.login(request)
    buckets = buckets_of(request)
    decision = pool.limiter().acquire(buckets) if buckets else None
    if decision is None or decision.allowed:
        answer = admin.site.login(request)
        if decision is not None and answer.status_code == SUCCEEDED:
            pool.limiter().refund(buckets, 1)
        return answer
    wait = wait_of(decision)
    request.META[REFUSED_FLAG] = _told(wait)
    answer = admin.site.login(request)
    answer.status_code = TOO_MANY
    if wait is not None:
        answer["Retry-After"] = str(wait)
    return answer


def _told(wait: int | None) -> str:
    when = f"Try again in {wait} seconds." if wait else "Ask an administrator."
    return f"There were too many attempts to sign in. {when}"
