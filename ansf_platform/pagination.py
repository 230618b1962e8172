"""Pages by keyset: a signed cursor tells after which id the next page starts.

No page counts the rows and none skips over them, so the thousandth page costs what the first
does. The cursor is opaque and bound to its list; a tampered or foreign one is a 400.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.encoding import escape_uri_path

from ansf_platform.field_errors import FieldError
from ansf_platform.operations import Query
from ansf_platform.problems import ProblemError
from ansf_platform.schemas import integer, text

PAGE = 50
LARGEST_PAGE = 500
PAGING = (
    Query("limit", integer(1, LARGEST_PAGE, default=PAGE), "Items per page."),
    Query("cursor", text(300, shortest=1), "`next` of the page before."),
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The rows of a page and the cursor of the next one (None: this is the last)."""

    rows: list[T]
    next: str | None


def page_of(
    rows: QuerySet[Any, T], request: HttpRequest, query: dict[str, Any], *, newest: bool = True
) -> Page[T]:
    """The page that ``?cursor`` and ``?limit`` ask for, by id: newest first, or oldest first.

    `rows` may be models or ``values`` with ``id``. Raises :class:`ProblemError` 400.
    """
    salt = f"cursor {request.path}"
    if query["cursor"]:
        last = _opened(query["cursor"], salt, rows)
        rows = rows.filter(**{"pk__lt" if newest else "pk__gt": last})
    limit = query["limit"]
    found = list(rows.order_by("-pk" if newest else "pk")[: limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    return Page(found[:limit], signing.dumps(str(_id(found[limit - 1])), salt=salt))


def _id(row: Any) -> Any:
    return row["id"] if isinstance(row, dict) else row.pk


def _opened(cursor: str, salt: str, rows: QuerySet[Any, Any]) -> Any:
    try:
        return rows.model._meta.pk.to_python(signing.loads(cursor, salt=salt))  # noqa: SLF001
    except (signing.BadSignature, ValidationError, ValueError) as error:
        message = "is no cursor of this list: start again without it"
        raise ProblemError(
            400, f"?cursor: {message}", errors=[FieldError("?cursor", message)]
        ) from error


def link_header(request: HttpRequest, page: Page[Any]) -> dict[str, str]:
    """``Link: <…>; rel="next"`` (RFC 8288), or nothing on the last page."""
    if page.next is None:
        return {}
    path = escape_uri_path(request.path)
    parameters = request.GET.dict() | {"cursor": page.next}
    return {"Link": f'<{path}?{urlencode(parameters)}>; rel="next"'}
