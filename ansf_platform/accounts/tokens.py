"""API tokens: ``ansf_<prefix>_<secret>``, 256 random bits, stored as SHA-256 only.

A fast hash is enough, because nobody can guess 256 random bits: a slow one protects passwords
that people chose. Callers write the audit entry, in the transaction of the change.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from ansf_platform.accounts import scopes as known
from ansf_platform.accounts.models import ApiToken, Tenant

SECRET_BYTES = 32
PREFIX_BYTES = 4
LONGEST = 128  # characters; a token has 57
# One write per token and minute: the column answers "is it still in use?", not "when exactly".
USE_INTERVAL = timedelta(minutes=1)


def digest_of(secret: str) -> str:
    """The SHA-256 under which a token is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _new_secret() -> tuple[str, str]:
    prefix = f"ansf_{secrets.token_hex(PREFIX_BYTES)}"
    return prefix, f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"


def issue(
    tenant: Tenant, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its secret, which cannot be shown again.

    Raises :class:`~ansf_platform.accounts.scopes.UnknownScope`.
    """
    prefix, secret = _new_secret()
    token = ApiToken.objects.create(
        tenant=tenant,
        name=name,
        prefix=prefix,
        digest=digest_of(secret),
        scopes=known.checked(tuple(scopes)),
        expires_at=expires_at,
    )
    return token, secret


def rotate(token: ApiToken) -> str:
    """Replace the secret; the old one is refused from the commit on. Scopes and id stay."""
    token.prefix, secret = _new_secret()
    token.digest = digest_of(secret)
    token.last_used_at = None
    token.revision += 1
    token.save(update_fields=["prefix", "digest", "last_used_at", "revision"])
    return secret


def revoke(token: ApiToken) -> None:
    """Refuse the token from the commit on. Revoking twice keeps the first time."""
    now = timezone.now()
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(
        revoked_at=now, revision=F("revision") + 1
    )
    token.refresh_from_db(fields=["revoked_at", "revision"])


def find(secret: str) -> ApiToken | None:
    """The usable token with this secret: neither revoked nor expired. Notes that it is used."""
    if len(secret) > LONGEST or not secret.isascii():
        return None
    digest = digest_of(secret)
    # At most one row, each request: ordering it would be a quarter of the work.
    found = ApiToken.objects.select_related("tenant").filter(digest=digest).order_by()
    token = next(iter(found), None)
    # The index compares digests, of which a guesser cannot choose the letters.
    if token is None or not hmac.compare_digest(token.digest, digest):
        return None
    now = timezone.now()
    if token.revoked_at or (token.expires_at and token.expires_at <= now):
        return None
    if not token.last_used_at or token.last_used_at <= now - USE_INTERVAL:
        _note_use(token.pk, now)
    return token


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a usable token says about who shows it."""

    token_id: int
    tenant_id: int
    tenant: str
    """The slug."""
    tenant_enabled: bool
    scopes: tuple[str, ...]


_BEARER = """
SELECT t.digest, t.id, t.tenant_id, n.slug, n.enabled, t.scopes,
    t.last_used_at IS NULL OR t.last_used_at <= %s
FROM accounts_apitoken t JOIN accounts_tenant n ON n.id = t.tenant_id
WHERE t.digest = %s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > %s)
"""


def bearer_of(secret: str) -> Bearer | None:
    """What `find` tells of a token, for whoever asks at every call: a tenth of its time."""
    if len(secret) > LONGEST or not secret.isascii():
        return None
    digest, now = digest_of(secret), timezone.now()
    used_before, at = map(connection.ops.adapt_datetimefield_value, (now - USE_INTERVAL, now))
    with connection.cursor() as cursor:
        cursor.execute(_BEARER, [used_before, digest, at])
        row = cursor.fetchone()
    if row is None or not hmac.compare_digest(row[0], digest):
        return None
    token, tenant, slug, enabled, scopes, unnoted = row[1:]
    if unnoted:
        _note_use(token, now)
    return Bearer(token, tenant, slug, bool(enabled), tuple(json.loads(scopes)))


def _note_use(pk: int, now: datetime) -> None:
    unused = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_INTERVAL)
    ApiToken.objects.filter(unused, pk=pk).update(last_used_at=now)
