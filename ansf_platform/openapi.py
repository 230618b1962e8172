"""The OpenAPI 3.1 document, from the declarations of the operations, and its page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry

from ansf_platform.accounts.authentication import SessionAuthentication, TokenAuthentication
from ansf_platform.problems import CONTENT_TYPE, MEANINGS
from ansf_platform.schemas import SCHEMAS, Schema, integer, ref, slug, text, uuid

METHOD_WORDS = {"GET": "get", "POST": "post", "PUT": "put", "PATCH": "change", "DELETE": "delete"}
PATH_SCHEMAS: dict[str, Schema] = {
    "uuid": uuid(),
    "int": integer(),
    "slug": slug(),
    "str": text(200, shortest=1, pattern=r"^[^/\x00]+(?!\n)$"),
}
_CONVERTER = re.compile(r"<(?:(\w+):)?(\w+)>")
IF_MATCH = r'\*|"[!#-+\--~]+"(, ?"[!#-+\--~]+")*'  # no commas inside: ours have none
_ALWAYS = (400, 401, 403, 406, 503)  # a cursor, a token, a scope, Accept, the database

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body again get the same answer, for 24 hours.",
    "schema": text(255, shortest=1, pattern="^[!-~]+$"),
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was read; another revision by now is a 412.",
    "schema": text(200, pattern=f"^({IF_MATCH})$"),
}
_FILE: Schema = {"type": "string"}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N` (RFC 7240): answer when the task has ended, after at most N seconds.",
    "schema": {"type": "string", "examples": ["wait=10"]},
}


class OperationSchema(AutoSchema):
    """Describes a handler by its :class:`~ansf_platform.operations.Operation`.

    Views without one (they have serializers) are described as drf-spectacular does.
    """

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any] | None:
        declared = getattr(getattr(self.view, method.lower()), "operation", None)
        if declared is None:
            described: dict[str, Any] | None = super().get_operation(
                path, path_regex, path_prefix, method, registry
            )
            return described
        self.registry, self.path, self.path_prefix = registry, path, path_prefix
        self.path_regex, self.method = path_regex, method.upper()
        told = {
            "operationId": _operation_id(path, self.method),
            "summary": declared.summary,
            "description": f"{declared.description}\n\nScope: `{declared.scope}`.".strip(),
            "tags": [_tag(path)],
            "parameters": self._all_parameters(declared),
            "responses": self._all_responses(declared),
            "security": self.get_auth(),
        }
        if declared.body:
            told["requestBody"] = {
                "required": not declared.optional_body,
                "content": {"application/json": {"schema": ref(declared.body)}},
            }
        return told

    def _all_parameters(self, declared: Any) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS[kind or "str"]}
            for kind, name in _CONVERTER.findall(self.path_regex)
        ]
        for query in declared.query:
            told = {"name": query.name, "in": "query", "schema": query.schema}
            listed.append({**told, "description": query.description or query.name})
        if self.method == "POST" and not declared.reads:
            listed.append(_IDEMPOTENCY_KEY)
        if declared.conditional:
            listed.append(_IF_MATCH)
        if declared.waits:
            listed.append(_PREFER)
        return listed

    def _all_responses(self, declared: Any) -> dict[str, Any]:
        refused = {*_ALWAYS, *declared.refuses}
        if "<" in self.path_regex:
            refused.add(404)
        if declared.conditional:
            refused.add(412)
        if self.method != "GET":
            refused |= {413, 415, 422}
        if self.method == "POST":
            refused.add(409)
        told = {str(status): _answer(status, name) for status, name in declared.answers.items()}
        if declared.file:
            told["200"] = {"description": "A file", "content": {declared.file: {"schema": _FILE}}}
        return told | {str(status): _problem(status) for status in sorted(refused)}


def _answer(status: int, name: str | None) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    if name is None:
        return {"description": phrase}
    return {"description": phrase, "content": {"application/json": {"schema": ref(name)}}}


def _problem(status: int) -> dict[str, Any]:
    return {"description": MEANINGS[status], "content": {CONTENT_TYPE: {"schema": ref("Problem")}}}


def _words(path: str) -> list[str]:
    return [part for part in path.split("/")[3:] if part]


def _tag(path: str) -> str:
    return _words(path)[0]


def _operation_id(path: str, method: str) -> str:
    words = [word.strip("{}").replace("-", "_") for word in _words(path)]
    return "_".join([METHOD_WORDS[method], *words])


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI page names the token."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "ansf_<prefix>_<secret>",
            "description": "A scoped token, created under /api/v1/tokens or in the admin.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI page names the session of a browser."""

    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "A signed-in browser; changes also need the X-CSRFToken header.",
        }


class DocumentGenerator(SchemaGenerator):
    """drf-spectacular's generator, with the named schemas among the components."""

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - the library's signature
        document: dict[str, Any] = super().get_schema(request=request, public=public)  # type: ignore[no-untyped-call]
        components = document.setdefault("components", {})
        components["schemas"] = dict(sorted({**SCHEMAS, **components.get("schemas", {})}.items()))
        return document


def document() -> dict[str, Any]:
    """The OpenAPI document of everything below ``/api/v1/``."""
    told: dict[str, Any] = DocumentGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return told


def operations_by_tag(told: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The document as a page shows it: per tag, each operation with its method and path."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            for tag in operation.get("tags", ["other"]):
                tags.setdefault(tag, []).append(
                    {**operation, "method": method.upper(), "path": path}
                )
    return dict(sorted(tags.items()))
