"""May this principal call this view? One rule: the scope that the view names.

An :func:`ansf_platform.operations.operation` names its scope; any other view names
``read_scope`` (GET, HEAD, OPTIONS) and ``write_scope`` (everything else) as class attributes.
A view that names nothing is closed.
"""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions, permissions
from rest_framework.request import Request

from ansf_platform.accounts.authentication import Principal


def scope_for(view: Any, method: str) -> str | None:
    """The scope that calling `method` on `view` takes; None where the method does not exist."""
    handler = getattr(view, method.lower(), None)
    if handler is None or method.lower() not in view.http_method_names:
        return None
    operation = getattr(handler, "operation", None)
    if operation is not None:
        return str(operation.scope)
    name = "read_scope" if method in permissions.SAFE_METHODS else "write_scope"
    return str(getattr(view, name, "nobody"))


class HasScope(permissions.BasePermission):
    """Whoever is known and has the scope of the operation, or of the view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        principal = request.auth
        if not isinstance(principal, Principal):
            return False
        scope = scope_for(view, request.method or "GET")
        if scope is None or principal.may(scope):  # None: answered with 405
            return True
        raise exceptions.PermissionDenied(
            f"this needs the scope {scope!r}: ask for a token or a role that has it"
        )
