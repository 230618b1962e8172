"""API tokens: ``ansf_<prefix>_<secret>``, 256 random bits, stored as SHA-256 only.

A fast hash is enough, because nobody can guess 256 random bits: a slow one protects passwords
that people chose. Callers write the audit entry, in the transaction of the change.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

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
    _note_use(token, now)
    return token


def _note_use(token: ApiToken, now: datetime) -> None:
    before = now - USE_INTERVAL
    if token.last_used_at and token.last_used_at > before:
        return
    unused = Q(last_used_at=None) | Q(last_used_at__lte=before)
    ApiToken.objects.filter(unused, pk=token.pk).update(last_used_at=now)
