"""The API about itself: the OpenAPI document, and a page of it for people.

Both are open to everybody: they tell what the source tells. The page is rendered here, with one
style sheet of this site, because the content security policy allows no foreign script.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt

from ansf_platform import openapi, problems
from ansf_platform.problems import MEANINGS


def _only_read(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    @csrf_exempt
    @wraps(view)
    def run(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return view(request)
        refused = problems.answer(request, 405, "this can only be read")
        refused["Allow"] = "GET, HEAD"
        return refused

    return run


@cache
def _document() -> dict[str, Any]:
    return openapi.document()


@cache
def _text() -> str:
    return json.dumps(_document(), default=str)


@_only_read
@cache_control(max_age=60)
def openapi_json(_request: HttpRequest) -> HttpResponse:
    """The document as JSON."""
    return HttpResponse(_text(), content_type="application/vnd.oai.openapi+json;version=3.1")


@_only_read
def page(request: HttpRequest) -> HttpResponse:
    """Every operation, every schema and every problem on one page."""
    document = _document()
    schemas = {
        name: json.dumps(schema, indent=2)
        for name, schema in document["components"]["schemas"].items()
    }
    problems = [(status, HTTPStatus(status).phrase, text) for status, text in MEANINGS.items()]
    return render(
        request,
        "ansf_platform/api_docs.html",
        {
            "info": document["info"],
            "tags": openapi.operations_by_tag(document),
            "schemas": schemas,
            "problems": problems,
        },
    )
