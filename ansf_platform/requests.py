"""What every HTTP answer carries: a request id and a content security policy."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]

# A caller's id is echoed into logs and headers: only what cannot break either is taken over.
SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)


class RequestIdMiddleware:
    """Gives each request an id, the caller's own where it is harmless, and echoes it."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if SAFE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.META["ansf.request_id"] = request_id
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class ContentSecurityPolicyMiddleware:
    """Allows only this site's own files: no inline script, no foreign host."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponse) or response.streaming:
            response.setdefault("Content-Security-Policy", POLICY)
        return response


def request_id(request: HttpRequest) -> str:
    """The id of this request ("" outside the middleware)."""
    return str(request.META.get("ansf.request_id", ""))
