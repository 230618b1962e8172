"""Who shows a token, found by one statement: on both databases what the row itself says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import ApiToken, Tenant
from tests.databases import _postgres_config, _pristine_sqlite, db

__all__ = ["_postgres_config", "_pristine_sqlite", "db"]


@pytest.fixture
def tenant(db):
    return Tenant.objects.create(slug="acme", name="Acme")


def test_a_bearer_is_what_the_token_says(tenant):
    token, secret = tokens.issue(tenant, "ci", ["tasks:read", "gateway:call"])

    found = tokens.bearer_of(secret)

    scopes = tuple(tokens.find(secret).scopes)
    assert found == tokens.Bearer(token.pk, tenant.pk, "acme", True, scopes)


def test_nobody_bears_a_token_that_is_unknown_rotated_revoked_or_expired(tenant):
    rotated, old = tokens.issue(tenant, "rotated", ["tasks:read"])
    new = tokens.rotate(rotated)
    revoked, gone = tokens.issue(tenant, "revoked", ["tasks:read"])
    tokens.revoke(revoked)
    just_now = timezone.now() - timedelta(milliseconds=1)
    _, late = tokens.issue(tenant, "expired", ["tasks:read"], expires_at=just_now)

    assert [tokens.bearer_of(each) for each in (old, gone, late, "ansf_x_y", "ä", "")] == [None] * 6
    assert tokens.bearer_of(new).token_id == rotated.pk


def test_a_token_that_has_not_expired_yet_is_borne(tenant):
    soon = timezone.now() + timedelta(minutes=1)
    token, secret = tokens.issue(tenant, "brief", ["tasks:read"], expires_at=soon)

    assert tokens.bearer_of(secret).token_id == token.pk


def test_a_bearer_of_a_disabled_tenant_is_told_as_such(tenant):
    _, secret = tokens.issue(tenant, "ci", ["tasks:read"])
    Tenant.objects.update(enabled=False)

    assert not tokens.bearer_of(secret).tenant_enabled


def test_bearing_a_token_is_noted_once_a_minute(tenant):
    token, secret = tokens.issue(tenant, "ci", ["tasks:read"])

    tokens.bearer_of(secret)
    first = ApiToken.objects.get(pk=token.pk).last_used_at
    tokens.bearer_of(secret)
    again = ApiToken.objects.get(pk=token.pk).last_used_at

    assert first == again is not None
    earlier = timezone.now() - tokens.USE_INTERVAL - timedelta(seconds=1)
    ApiToken.objects.update(last_used_at=earlier)
    tokens.bearer_of(secret)
    assert ApiToken.objects.get(pk=token.pk).last_used_at > earlier
