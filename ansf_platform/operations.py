"""One operation of the REST API: what it takes, answers and needs, declared once.

The declaration is the check: the body and the query are held against the schemas that the
OpenAPI document shows, before the handler runs. A changing operation runs in one transaction
with its audit entry and its ``Idempotency-Key``, and is repeated when the database asks for it
(deadlock, serialization failure); what a handler raises rolls everything back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, transaction
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform import json_body, schemas
from ansf_platform.accounts import idempotency
from ansf_platform.field_errors import FieldError
from ansf_platform.problems import ProblemError, invalid
from ansf_platform.schemas import Schema

if TYPE_CHECKING:
    from ansf_platform.endpoints import Endpoint

READING = frozenset({"GET", "HEAD"})
RETRIES = 3
_TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03"})
_BOOLEANS = {"true": True, "false": False}

Handler = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter: its schema decides how its text is read."""

    name: str
    schema: Schema
    description: str = ""

    def read(self, raw: str) -> Any:
        """The value. Raises ValueError with what is wrong."""
        value = _converted(raw, self.schema)
        wrong = schemas.check_value(self.schema, value)
        if wrong:
            raise ValueError(wrong)
        return schemas.parse_moment(raw) if self.schema.get("format") == "date-time" else value


def _converted(raw: str, schema: Schema) -> Any:
    match schema.get("type"):
        case "integer" if raw.isascii() and raw.lstrip("-").isdigit() and len(raw) < 20:  # noqa: PLR2004 - 2**63 has 19 digits
            return int(raw)
        case "boolean":
            return _BOOLEANS.get(raw, raw)
    return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The declaration that OpenAPI, permission, checks and audit all read."""

    summary: str
    scope: str
    answers: Mapping[int, str | None]
    description: str = ""
    body: str | None = None
    optional_body: bool = False
    by_hand: bool = False  # the handler checks the body itself: 10 000 items at once
    query: tuple[Query, ...] = ()
    refuses: tuple[int, ...] = ()
    waits: bool = False  # knows Prefer: wait=N
    conditional: bool = False  # knows If-Match
    idempotent: bool = True
    reads: bool = False  # a POST that only asks: no transaction, no Idempotency-Key
    file: str | None = None  # the media type of a 200 that is a file and no JSON


def operation(
    summary: str, *, scope: str, answers: Mapping[int, str | None], **more: Any
) -> Callable[[Handler], Callable[..., HttpResponseBase]]:
    """Make a method of an :class:`Endpoint` an operation; see :class:`Operation`."""
    declared = Operation(summary=summary, scope=scope, answers=answers, **more)

    def decorate(handler: Handler) -> Callable[..., HttpResponseBase]:
        @wraps(handler)
        def run(view: Endpoint, request: Request, **kwargs: Any) -> HttpResponseBase:
            view.query = _read_query(request, declared)
            if request.method in READING:
                return handler(view, request, **kwargs)
            raw = _read_body(view, request, declared)
            if declared.reads:
                return handler(view, request, **kwargs)
            response = _change(view, request, raw, lambda: handler(view, request, **kwargs))
            return view.settle(response)

        run.operation = declared  # type: ignore[attr-defined]
        return run

    return decorate


def _read_query(request: Request, declared: Operation) -> dict[str, Any]:
    known = {query.name: query for query in declared.query}
    errors: list[FieldError] = []
    values: dict[str, Any] = {name: query.schema.get("default") for name, query in known.items()}
    for name, given in request.query_params.lists():
        try:
            values[name] = _read_one(known, name, given)
        except ValueError as error:
            errors.append(FieldError(f"?{name}"[:100], str(error)))
    if errors:
        detail = f"{errors[0].field}: {errors[0].message}"
        raise ProblemError(400, detail, errors=errors)
    return values


def _read_one(known: dict[str, Query], name: str, given: list[str]) -> Any:
    if name not in known:
        raise ValueError(f"is not known here: {', '.join(known) or 'there are no parameters'}")
    if len(given) > 1:
        raise ValueError("is given more than once")
    if "\x00" in given[0]:
        raise ValueError("holds U+0000")
    return known[name].read(given[0])


def _read_body(view: Endpoint, request: Request, declared: Operation) -> bytes:
    raw = json_body.read(request._request)  # noqa: SLF001 - DRF ignores bodies without a length
    if declared.body is None:
        if raw.strip() not in {b"", b"{}"}:
            raise invalid([FieldError("", "this operation takes no body")])
        return raw
    if not raw and declared.optional_body:
        view.body = {}
        return raw
    view.body = json_body.parse(raw)
    if not declared.by_hand and (errors := schemas.check(declared.body, view.body)):
        raise invalid(errors)
    return raw


def _change(
    view: Endpoint, request: Request, raw: bytes, handler: Callable[[], Response]
) -> HttpResponseBase:
    key = idempotency.key_of(request._request) if request.method == "POST" else None  # noqa: SLF001
    for attempt in range(RETRIES):
        try:
            with transaction.atomic():
                if key is None:
                    return handler()
                principal = view.principal
                print_ = idempotency.fingerprint(request._request, principal, raw)  # noqa: SLF001
                return idempotency.once(principal.actor, key, print_, handler)
        except OperationalError as error:
            if attempt == RETRIES - 1 or not _is_transient(error):
                raise
            time.sleep(0.02 * (attempt + 1))
    raise AssertionError("unreachable")


def _is_transient(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in _TRANSIENT_STATES
