"""``token``: credentials of machines, whose secret is printed once."""

from __future__ import annotations

import argparse
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import ApiToken, Tenant
from ansf_platform.accounts.scopes import SCOPES, UnknownScope
from ansf_platform.terminal import Usage
from coordination.errors import CoordinationError, NotFound
from coordination.management import console

COLUMNS = (
    "id",
    "name",
    "prefix",
    "scopes",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
)
LONGEST_NAME = 100


class Command(console.Command):
    """Tokens: create, list, revoke, rotate."""

    help = "Create, list, revoke and rotate API tokens."
    refusals: ClassVar[tuple[type[Exception], ...]] = (CoordinationError, UnknownScope)

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        created = verb("create", self.create, "Create a token; its secret is printed once.")
        created.add_argument("name", type=name_of_token)
        created.add_argument(
            "--scope", action="append", metavar="SCOPE", help=f"Of {', '.join(SCOPES)}; or `all`."
        )
        created.add_argument("--expires", type=console.moment, help="ISO time, or 90d from now.")
        verb("list", self.list_tokens, "All tokens, without their secrets.")
        for name, act, about in (
            ("revoke", self.revoke, "Refuse a token from now on."),
            ("rotate", self.rotate, "Give a token a new secret; the old one ends now."),
        ):
            verb(name, act, about).add_argument("id", type=console.serial)

    def create(self, options: dict[str, Any]) -> None:
        """Create a token."""
        if not options["scope"]:
            raise Usage(f"give at least one --scope: {', '.join(SCOPES)}, or all")
        tenant = self.tenant(options)
        scopes = tuple(SCOPES) if "all" in options["scope"] else options["scope"]
        with self.audited(tenant) as entry:
            token, secret = tokens.issue(tenant, options["name"], scopes, options["expires"])
            entry("token.create", "token", token.pk, name=token.name, scopes=token.scopes)
        self._show_secret(token, secret)

    def list_tokens(self, options: dict[str, Any]) -> None:
        """Print all tokens."""
        found = ApiToken.objects.filter(tenant=self.tenant(options))
        rows = [{name: getattr(token, name) for name in COLUMNS} for token in found]
        if self.screen.as_json:
            self.screen.json({"tokens": rows})
            return
        self.screen.table(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))

    def rotate(self, options: dict[str, Any]) -> None:
        """Replace a token's secret."""
        tenant = self.tenant(options)
        with self.audited(tenant) as entry:
            token = locked(tenant, options["id"])
            secret = tokens.rotate(token)
            entry("token.rotate", "token", token.pk, name=token.name)
        self._show_secret(token, secret)

    def revoke(self, options: dict[str, Any]) -> None:
        """Refuse a token."""
        tenant = self.tenant(options)
        with self.audited(tenant) as entry:
            token = locked(tenant, options["id"])
            tokens.revoke(token)
            entry("token.revoke", "token", token.pk, name=token.name)
        if self.screen.as_json:
            self.screen.json({"id": token.pk, "revoked_at": token.revoked_at})
        else:
            self.screen.line(f"{token.name} is revoked")

    def _show_secret(self, token: ApiToken, secret: str) -> None:
        if self.screen.as_json:
            self.screen.json({"id": token.pk, "name": token.name, "secret": secret})
            return
        self.screen.note("This secret is not shown again:")
        self.screen.line(secret)


def name_of_token(value: str) -> str:
    """Parse a token's name."""
    if value.strip() and len(value) <= LONGEST_NAME and value.isprintable():
        return value
    raise argparse.ArgumentTypeError(f"a name has 1 to {LONGEST_NAME} printable characters")


def locked(tenant: Tenant, token_id: int) -> ApiToken:
    """The token of that id, locked for its change. Raises :class:`NotFound`."""
    token = ApiToken.objects.select_for_update().filter(tenant=tenant, pk=token_id).first()
    if token is None:
        raise NotFound(f"tenant {tenant} has no token {token_id}: `token list` names them")
    return token
