"""The page, its region, and the feed."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TypeVar

from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.access import choices_of, part_of, tenant_of
from dashboard.board import board_of
from dashboard.feed import FEED

Answer = TypeVar("Answer", bound=HttpResponseBase)


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """The whole page, with everything on it: it is readable without a script."""
    tenant = tenant_of(request)
    context = {"board": board_of(tenant), "tenant": tenant, "choices": choices_of(request)}
    return fresh(render(request, "dashboard/page.html", context))


@require_safe
@part_of("dashboard")
def board(request: HttpRequest) -> HttpResponse:
    """The page's live region alone."""
    began = time.perf_counter()
    answer = render(request, "dashboard/board.html", {"board": board_of(tenant_of(request))})
    FEED.note_pull(time.perf_counter() - began)
    return fresh(answer)


@require_safe
def feed(request: HttpRequest) -> HttpResponseBase:
    """The stream of pokes, for anybody with a session: it carries no data."""
    if not request.user.is_authenticated:
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
    if not isinstance(request, ASGIRequest):
        # A WSGI server gathers an answer before it sends it, and this one has no end.
        reason = "the feed needs an ASGI server, such as `manage.py up` runs; pages poll without it"
        return HttpResponse(reason, status=HTTPStatus.NOT_IMPLEMENTED, content_type="text/plain")
    if FEED.full:
        busy = HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
        busy["Retry-After"] = "30"
        return busy
    _let_go_of_databases()
    answer = StreamingHttpResponse(FEED.stream(), content_type="text/event-stream; charset=utf-8")
    answer["X-Accel-Buffering"] = "no"
    answer["Content-Encoding"] = "identity"
    return fresh(answer)


def _let_go_of_databases() -> None:
    # A request ends with its answer, and this one has no end: its connection would be kept idle.
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def fresh(answer: Answer) -> Answer:
    """The answer, to be kept by nobody."""
    patch_cache_control(answer, no_store=True, private=True)
    return answer
