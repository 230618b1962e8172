"""Every error as RFC 9457 problem details, with the id of the request.

A problem says what is wrong, why, and what to do next; `errors` names each wrong field by a JSON
pointer (``?name`` for a query parameter). `type` leads to its entry on the API's own page.
Whatever goes wrong below ``/api/`` is answered so, also what never reaches a view.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.encoding import escape_uri_path
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from ansf_platform.field_errors import FieldError
from ansf_platform.requests import request_id

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TYPES_PAGE = "/api/v1/docs"
RETRY_AFTER_SECONDS = 2

# What each status means here, for callers and for the API's page.
MEANINGS: dict[int, str] = {
    400: "The request cannot be read: its JSON, a query parameter, a header or a cursor.",
    401: "No valid token or session came with the request.",
    403: "The token or role lacks the scope, the CSRF token is missing, or the tenant is disabled.",
    404: "There is nothing of that name or id, or it belongs to another tenant.",
    405: "The address does not know this method.",
    406: "Only application/json can be answered.",
    408: "The body did not arrive in time.",
    409: "The state of things does not allow it: it ended, it exists, it is in use.",
    412: "If-Match names another revision than the current one: read it again.",
    413: "The body is too large.",
    415: "Only application/json can be read.",
    422: "The body is JSON, but not what this operation takes; `errors` names each field.",
    429: "Too many requests: try again after Retry-After.",
    500: "A defect of the server. Report the request id.",
    503: "The database does not answer: try again after Retry-After.",
}


class ProblemError(exceptions.APIException):
    """A problem with its status, its detail, wrong fields, and further members or headers."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = members


def invalid(errors: Iterable[FieldError], detail: str = "") -> ProblemError:
    """422 for a body that can be read but not be done."""
    listed = tuple(errors)
    first = f"{listed[0].field or 'the body'}: {listed[0].message}" if listed else ""
    return ProblemError(422, detail or f"{len(listed)} wrong: {first}", errors=listed)


def problem(request: HttpRequest, error: ProblemError) -> dict[str, Any]:
    """The members of the problem document."""
    status = error.status_code
    told: dict[str, Any] = {
        "type": f"{TYPES_PAGE}#problem-{status}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error.detail),
        "instance": escape_uri_path(request.path),
        "request_id": request_id(request),
    }
    if error.errors:
        told["errors"] = [one.as_dict() for one in error.errors]
    return told | error.members


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Answer any exception of a REST view; what nobody foresaw is logged and told as 500."""
    request: HttpRequest = context["request"]._request  # noqa: SLF001 - DRF's wrapper
    error = _as_problem(exc)
    if error is None:
        error = _defect(exc, request)
    headers = dict(error.headers)
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return Response(
        problem(request, error), error.status_code, headers=headers, content_type=CONTENT_TYPE
    )


def _as_problem(exc: Exception) -> ProblemError | None:
    if isinstance(exc, ProblemError):
        return exc
    if isinstance(exc, exceptions.ValidationError):
        return invalid(_flattened(exc.detail))
    if isinstance(exc, exceptions.APIException):
        return ProblemError(exc.status_code, str(exc.detail))
    for kinds, status, detail in _FORESEEN:
        if isinstance(exc, kinds):
            return _foreseen(exc, status, detail)
    return None


_FORESEEN: tuple[tuple[Any, int, str], ...] = (
    (Http404, 404, "there is nothing here"),
    (PermissionDenied, 403, "not allowed"),
    (RequestDataTooBig, 413, "the body is too large: send it in several requests"),
    (SuspiciousOperation, 400, "the request cannot be read"),
    (RecursionError, 400, "the body is nested too deeply"),
    (ProtectedError, 409, "other rows refer to it: remove those first"),
    (IntegrityError, 409, "another request changed the same at the same time: read it again"),
    (DataError, 422, "a value does not fit its column: shorten it"),
    ((OperationalError, InterfaceError), 503, "the database does not answer: try again"),
)


def _foreseen(exc: Exception, status: int, detail: str) -> ProblemError:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}  # noqa: PLR2004
    if isinstance(exc, (IntegrityError, DataError, OperationalError, InterfaceError)):
        logger.warning("%s: %s", type(exc).__name__, exc)
    return ProblemError(status, detail, headers=headers)


def _defect(exc: Exception, request: HttpRequest) -> ProblemError:
    logger.error("%s %s failed", request.method, request.path, exc_info=exc)
    # What watches for defects listens here: the test client, error reporters.
    got_request_exception.send(sender=None, request=request)
    return ProblemError(500, f"a defect: report it with the request id {request_id(request)}")


def _flattened(detail: Any, pointer: str = "") -> list[FieldError]:
    if isinstance(detail, Mapping):
        return [e for k, v in detail.items() for e in _flattened(v, _below(pointer, str(k)))]
    if isinstance(detail, list):
        if all(isinstance(one, str) for one in detail):
            return [FieldError(pointer, str(one)) for one in detail]
        return [e for i, v in enumerate(detail) for e in _flattened(v, _below(pointer, str(i)))]
    return [FieldError(pointer, str(detail))]


def _below(pointer: str, name: str) -> str:
    return pointer if name == "non_field_errors" else f"{pointer}/{name}"


def answer(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """A problem from outside DRF."""
    told = problem(request, ProblemError(status, detail))
    return JsonResponse(told, status=status, content_type=CONTENT_TYPE)


@csrf_exempt  # changes nothing, and a 404 tells more than a missing cookie
def nowhere(request: HttpRequest) -> HttpResponse:
    """Any address below ``/api/`` that no view answers."""
    return answer(request, 404, "there is no such address: see /api/v1/docs")


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """``handler400``."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    return answer(request, 400, "the request cannot be read")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """``handler403``."""
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return answer(request, 403, str(exception) or "not allowed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """``handler404``."""
    return nowhere(request) if _is_api(request) else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """``handler500``."""
    if not _is_api(request):
        return defaults.server_error(request)
    return answer(request, 500, f"a defect: report it with the request id {request_id(request)}")
