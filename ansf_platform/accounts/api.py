"""Tokens and the audit trail over REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import Http404
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import ApiToken, AuditEntry
from ansf_platform.accounts.scopes import SCOPES
from ansf_platform.endpoints import Endpoint, refuse_stale, tagged
from ansf_platform.field_errors import FieldError
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import ProblemError, invalid
from ansf_platform.schemas import (
    anything,
    array,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    page_of,
    parse_moment,
    record,
    text,
)

_TOKEN = {
    "id": integer(1),
    "name": text(100),
    "prefix": text(16, description="The first letters, to recognise it by."),
    "scopes": array(choice(*SCOPES)),
    "created_at": moment(),
    "expires_at": nullable(moment()),
    "last_used_at": nullable(moment(description="Written at most once a minute.")),
    "revoked_at": nullable(moment()),
}
TOKEN = define("Token", record(_TOKEN))
TOKENS = page_of(TOKEN)
TOKEN_SECRET = define(
    "TokenWithSecret",
    record(
        {
            **_TOKEN,
            "secret": nullable(
                text(128, description="Shown this once; null in a replayed answer.")
            ),
        }
    ),
)
TOKEN_NEW = define(
    "TokenNew",
    record(
        {
            "name": text(100, shortest=1),
            "scopes": array(choice(*SCOPES), most=50, minItems=1, uniqueItems=True),
        },
        {"expires_at": nullable(moment())},
    ),
)
AUDIT_ENTRY = define(
    "AuditEntry",
    record(
        {
            "id": integer(1),
            "at": moment(),
            "actor": text(80),
            "action": text(60),
            "object_type": text(40),
            "object_id": text(80),
            "detail": anything(),
            "request_id": text(64),
        }
    ),
)
AUDIT = page_of(AUDIT_ENTRY)


def render_token(token: ApiToken) -> dict[str, Any]:
    """A token without its secret, which nobody has."""
    return {name: getattr(token, name) for name in _TOKEN}


def render_entry(entry: AuditEntry) -> dict[str, Any]:
    """One change."""
    names = ("id", "at", "actor", "action", "object_type", "object_id", "detail", "request_id")
    return {name: getattr(entry, name) for name in names}


class _TokenEndpoint(Endpoint):
    def token(self, token_id: int) -> ApiToken:
        """The tenant's token, locked for the change. Raises Http404."""
        rows = ApiToken.objects.filter(tenant=self.tenant, pk=token_id)
        if self.request.method not in {"GET", "HEAD"}:
            rows = rows.select_for_update(of=("self",))
        token = rows.select_related("tenant").first()
        if token is None:
            raise Http404
        return token


class Tokens(Endpoint):
    """The tokens of a tenant."""

    @operation(
        "List tokens",
        scope="tokens:admin",
        query=(Query("revoked", boolean(), "Only revoked ones, or only others."), *PAGING),
        answers={200: TOKENS},
    )
    def get(self, request: Request) -> Response:
        rows = ApiToken.objects.filter(tenant=self.tenant)
        if self.query["revoked"] is not None:
            rows = rows.filter(revoked_at__isnull=not self.query["revoked"])
        return self.page(rows, render_token)

    @operation(
        "Create a token",
        scope="tokens:admin",
        description="The answer shows the secret, once. Nobody can give more than they have.",
        body=TOKEN_NEW,
        answers={201: TOKEN_SECRET},
    )
    def post(self, request: Request) -> Response:
        self._refuse_more_than_own()
        token, secret = tokens.issue(
            self.tenant, self.body["name"], self.body["scopes"], self._expiry()
        )
        self.record("token.create", "token", token.pk, name=token.name, scopes=token.scopes)
        data = {**render_token(token), "secret": secret}
        return tagged(token, data, 201, Location=f"/api/v1/tokens/{token.pk}")

    def _refuse_more_than_own(self) -> None:
        missing = sorted(set(self.body["scopes"]) - self.principal.scopes)
        if missing:
            raise ProblemError(403, f"you have not got {', '.join(missing)} yourself: leave it out")

    def _expiry(self) -> datetime | None:
        if self.body.get("expires_at") is None:
            return None
        moment_ = parse_moment(self.body["expires_at"])
        if moment_ <= timezone.now():
            raise invalid([FieldError("/expires_at", "is already past")])
        return moment_


class Token(_TokenEndpoint):
    """One token."""

    @operation("Show a token", scope="tokens:admin", answers={200: TOKEN})
    def get(self, request: Request, token_id: int) -> Response:
        token = self.token(token_id)
        return tagged(token, render_token(token))

    @operation(
        "Revoke a token",
        scope="tokens:admin",
        description="It is refused from now on; the row stays, so that the audit can name it.",
        conditional=True,
        answers={204: None},
    )
    def delete(self, request: Request, token_id: int) -> Response:
        token = self.token(token_id)
        refuse_stale(request, token)
        if token.revoked_at is None:
            tokens.revoke(token)
            self.record("token.revoke", "token", token.pk, name=token.name)
        return Response(status=204)


class TokenRotation(_TokenEndpoint):
    """A new secret for a token."""

    @operation(
        "Rotate a token",
        scope="tokens:admin",
        description="The old secret is refused from now on; the answer shows the new one, once.",
        conditional=True,
        answers={200: TOKEN_SECRET},
    )
    def post(self, request: Request, token_id: int) -> Response:
        token = self.token(token_id)
        refuse_stale(request, token)
        if token.revoked_at is not None:
            raise ProblemError(409, "the token is revoked: create another")
        self._refuse_more_than_own(token)
        secret = tokens.rotate(token)
        self.record("token.rotate", "token", token.pk, name=token.name)
        return tagged(token, {**render_token(token), "secret": secret})

    def _refuse_more_than_own(self, token: ApiToken) -> None:
        if not self.principal.scopes.issuperset(token.scopes):
            raise ProblemError(403, "the token has scopes that you have not got yourself")


class Audit(Endpoint):
    """Who changed what."""

    @operation(
        "List changes",
        scope="audit:read",
        query=(
            Query("actor", text(80, shortest=1), "token:ID, user:ID, command or coordinator."),
            Query("action", text(60, shortest=1), "Such as swarm.pause."),
            Query("object_type", text(40, shortest=1), "Such as swarm."),
            Query("object_id", text(80, shortest=1)),
            Query("after", moment(), "Not before this moment."),
            Query("before", moment(), "Before this moment."),
            *PAGING,
        ),
        answers={200: AUDIT},
    )
    def get(self, request: Request) -> Response:
        names = {"actor": "actor", "action": "action", "after": "at__gte", "before": "at__lt"}
        names |= {"object_type": "object_type", "object_id": "object_id"}
        wanted = Q(tenant=self.tenant)
        for name, lookup in names.items():
            if self.query[name] is not None:
                wanted &= Q(**{lookup: self.query[name]})
        return self.page(AuditEntry.objects.filter(wanted), render_entry)
