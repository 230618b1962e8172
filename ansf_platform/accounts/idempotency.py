"""``Idempotency-Key``: the same POST again gets the same answer, for 24 hours.

========================  ==============================================================
same key, same request    the stored answer, with ``Idempotency-Replayed: true``
same key, another body    422
the first still runs      409 on PostgreSQL (advisory lock); on SQLite, where one
                          transaction writes at a time, the second waits and is replayed
the first was refused     runs again: what raised was rolled back and stored nothing
========================  ==============================================================

The stored answer commits in the transaction of what it answers for, so neither can be without
the other. A secret in an answer is not stored: a replay tells null in its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from ansf_platform.accounts.authentication import Principal
from ansf_platform.accounts.models import IdempotentRequest
from ansf_platform.problems import ProblemError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
LONGEST = 255  # characters
_KEY = re.compile(f"[!-~]{{1,{LONGEST}}}")
STORED_HEADERS = ("Location", "ETag")
SECRET = "secret"  # noqa: S105 - the member of an answer that is never stored


def key_of(request: HttpRequest) -> str | None:
    """The key, bare or as a structured-field string. Raises :class:`ProblemError` 400."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    key = given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given
    if not _KEY.fullmatch(key):
        raise ProblemError(
            400, f"{HEADER} must have 1 to {LONGEST} printable ASCII characters without spaces"
        )
    return key


def fingerprint(request: HttpRequest, principal: Principal, body: bytes) -> str:
    """What two requests have in common that ask for the same."""
    about = f"{principal.tenant.pk} {request.method} {request.get_full_path()}\n"
    return hashlib.sha256(about.encode() + body).hexdigest()


def once(actor: str, key: str, print_: str, produce: Callable[[], Response]) -> HttpResponseBase:
    """The stored answer, or what `produce` answers, stored. Runs inside a transaction."""
    _refuse_concurrent(actor, key)
    stored = IdempotentRequest.objects.filter(actor=actor, key=key).first()
    if stored and stored.created_at > timezone.now() - KEPT:
        return _replay(stored, print_)
    if stored:
        stored.delete()
    response = produce()
    _store(actor, key, print_, response)
    return response


def prune(limit: int = 1000) -> int:
    """Delete up to `limit` answers that are past their time; how many it deleted."""
    old = IdempotentRequest.objects.filter(created_at__lt=timezone.now() - KEPT)
    deleted, _ = IdempotentRequest.objects.filter(
        pk__in=list(old.order_by("created_at").values_list("pk", flat=True)[:limit])
    ).delete()
    return deleted


def _refuse_concurrent(actor: str, key: str) -> None:
    if connection.vendor != "postgresql":
        return
    number = int.from_bytes(
        hashlib.sha256(f"idempotency\n{actor}\n{key}".encode()).digest()[:8], signed=True
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        row = cursor.fetchone()
    if not (row and row[0]):
        raise ProblemError(
            409,
            f"the first request with this {HEADER} is still running: ask again in a moment",
            headers={"Retry-After": "1"},
        )


def _replay(stored: IdempotentRequest, print_: str) -> HttpResponse:
    if stored.fingerprint != print_:
        raise ProblemError(
            422, f"this {HEADER} was used for another request: send a new key with a new request"
        )
    return HttpResponse(
        stored.response_body,
        status=stored.response_status,
        content_type="application/json",
        headers={**stored.response_headers, REPLAYED: "true"},
    )


def _store(actor: str, key: str, print_: str, response: Response) -> None:
    IdempotentRequest.objects.create(
        actor=actor,
        key=key,
        fingerprint=print_,
        response_status=response.status_code,
        response_headers={n: response[n] for n in STORED_HEADERS if response.has_header(n)},
        response_body=_body(response.data),
    )


def _body(data: Any) -> str:
    if data is None:
        return ""
    if isinstance(data, dict) and SECRET in data:
        data = {**data, SECRET: None}
    return json.dumps(data, cls=JSONEncoder, separators=(",", ":"))
