"""What the views of patterns share: its errors as problems, and which rows exist."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from ansf_platform.endpoints import Endpoint
from ansf_platform.problems import ProblemError, invalid
from patterns import namespaces
from patterns.errors import Invalid, NotFound, PatternError, Refused, Unreachable
from patterns.models import Namespace


class PatternEndpoint(Endpoint):
    """An endpoint whose services raise :class:`PatternError`."""

    def handle_exception(self, exc: Exception) -> Response:
        known = isinstance(exc, PatternError)
        return super().handle_exception(as_problem(exc) if known else exc)  # type: ignore[arg-type]

    def namespace(self, slug: str) -> Namespace:
        """The tenant's namespace. Raises NotFound."""
        return namespaces.named(self.tenant, slug)


def as_problem(error: PatternError) -> ProblemError:
    """404, 409, 422 or 503, with what the error tells."""
    match error:
        case NotFound():
            return ProblemError(404, error.detail)
        case Refused():
            return ProblemError(409, error.detail)
        case Unreachable():
            return ProblemError(503, error.detail, headers={"Retry-After": "2"})
        case Invalid():
            return invalid(error.errors)
    return ProblemError(422, error.detail)


def plain(value: Any) -> Any:
    """Old and new values of a change as JSON."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
