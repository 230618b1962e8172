"""Tokens: who they let in, as whom, and how they are made and ended."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import ApiToken, AuditEntry, IdempotentRequest
from ansf_platform.accounts.scopes import UnknownScope

pytestmark = pytest.mark.django_db


def test_a_token_is_stored_as_a_digest_only(tenant):
    token, secret = tokens.issue(tenant, "ci", ["tasks:read"])

    assert secret.startswith(f"{token.prefix}_")
    assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
    row = ApiToken.objects.values().get(pk=token.pk)
    assert not any(secret in str(value) for value in row.values())


def test_an_unknown_scope_is_refused_with_the_known_ones(tenant):
    with pytest.raises(UnknownScope, match="tasks:read"):
        tokens.issue(tenant, "ci", ["tasks:reed"])


@pytest.mark.parametrize("secret", ["", "ansf_x", "ü", "x" * 200, "ansf_00000000_" + "A" * 43])
def test_an_unknown_secret_is_401_and_names_the_scheme(api, problem, secret):
    response = api.get("tokens", Authorization=f"Bearer {secret}".encode().decode("latin-1"))

    problem(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_without_a_token_it_is_401(api, problem):
    api.headers = {}

    problem(api.get("tokens"), 401)


def test_an_expired_token_is_401(tenant, api, problem):
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    problem(api.get("tokens"), 401)


def test_a_revoked_token_is_401(tenant, api, problem):
    tokens.revoke(ApiToken.objects.get())

    problem(api.get("tokens"), 401)


def test_a_rotated_token_takes_the_new_secret_and_refuses_the_old(tenant, api, problem):
    secret = tokens.rotate(ApiToken.objects.get())

    problem(api.get("tokens"), 401)
    assert api.get("tokens", Authorization=f"Bearer {secret}").status_code == 200


def test_a_disabled_tenant_is_403(tenant, api, problem):
    tenant.enabled = False
    tenant.save()

    assert "disabled" in problem(api.get("tokens"), 403)["detail"]


def test_a_missing_scope_is_403_and_named(api_with, problem):
    told = problem(api_with("tasks:read").get("tokens"), 403)

    assert "tokens:admin" in told["detail"]


def test_use_is_noted_at_most_once_a_minute(tenant, api, django_assert_num_queries):
    api.get("tokens")
    first = ApiToken.objects.get().last_used_at
    assert first is not None

    api.get("tokens")
    assert ApiToken.objects.get().last_used_at == first

    earlier = timezone.now() - timedelta(seconds=61)
    ApiToken.objects.update(last_used_at=earlier)
    api.get("tokens")
    assert ApiToken.objects.get().last_used_at > earlier


def test_creating_a_token_shows_its_secret_once_and_audits(tenant, api):
    response = api.post("tokens", {"name": "ci", "scopes": ["tasks:read"]})

    assert response.status_code == 201
    created = response.json()
    shown = api.get(f"tokens/{created['id']}")
    assert "secret" not in shown.json()
    assert tokens.find(created["secret"]).pk == created["id"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("token.create", str(created["id"]))
    assert entry.request_id == response["X-Request-ID"]
    assert created["secret"] not in str(entry.detail)


def test_a_replayed_creation_tells_no_secret_and_none_is_stored(tenant, api):
    body = {"name": "ci", "scopes": ["tasks:read"]}
    first = api.post("tokens", body, Idempotency_Key="one").json()

    again = api.post("tokens", body, Idempotency_Key="one")

    assert again["Idempotency-Replayed"] == "true"
    assert again.json() == {**first, "secret": None}
    assert first["secret"] not in IdempotentRequest.objects.get().response_body


def test_nobody_gives_more_than_they_have(api_with, problem):
    problem(api_with("tokens:admin").post("tokens", {"name": "x", "scopes": ["dead:replay"]}), 403)
    assert ApiToken.objects.count() == 1


def test_nobody_rotates_a_token_that_may_more(tenant, api_with, problem):
    token, _ = tokens.issue(tenant, "strong", ["dead:replay"])

    problem(api_with("tokens:admin").post(f"tokens/{token.pk}/rotate"), 403)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["tasks:read"]}, ""),
        ({"name": "", "scopes": ["tasks:read"]}, "/name"),
        ({"name": 5, "scopes": ["tasks:read"]}, "/name"),
        ({"name": "x", "scopes": ["nonsense"]}, "/scopes/0"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["tasks:read"], "colour": "red"}, ""),
        ({"name": "x", "scopes": ["tasks:read"], "expires_at": "tomorrow"}, "/expires_at"),
        (
            {"name": "x", "scopes": ["tasks:read"], "expires_at": "2001-01-01T00:00:00Z"},
            "/expires_at",
        ),
        (
            {"name": "x", "scopes": ["tasks:read"], "expires_at": "9999-12-31T23:59:59-23:00"},
            "/expires_at",
        ),
    ],
)
def test_a_wrong_creation_is_422_and_names_the_field(api, problem, body, field):
    told = problem(api.post("tokens", body), 422)

    assert field in [error["field"] for error in told["errors"]]


def test_revoking_over_rest_ends_a_token(tenant, api):
    token, secret = tokens.issue(tenant, "ci", ["tasks:read"])

    assert api.delete(f"tokens/{token.pk}").status_code == 204
    assert tokens.find(secret) is None


def test_a_stale_if_match_is_412_and_changes_nothing(tenant, api, problem):
    token, _ = tokens.issue(tenant, "ci", ["tasks:read"])
    tag = api.get(f"tokens/{token.pk}")["ETag"]
    tokens.rotate(token)

    problem(api.delete(f"tokens/{token.pk}", If_Match=tag), 412)
    assert ApiToken.objects.get(pk=token.pk).revoked_at is None


def test_the_current_if_match_passes(tenant, api):
    token, _ = tokens.issue(tenant, "ci", ["tasks:read"])
    tag = api.get(f"tokens/{token.pk}")["ETag"]

    assert api.post(f"tokens/{token.pk}/rotate", If_Match=tag).status_code == 200


def test_pages_follow_the_cursor_to_the_end(tenant, api):
    for number in range(6):
        tokens.issue(tenant, f"t{number}", ["tasks:read"])

    seen, path = [], "tokens?limit=3"
    while path:
        response = api.get(path)
        seen += [item["name"] for item in response.json()["items"]]
        path = response.get("Link", "").partition("</api/v1/")[2].partition(">")[0]

    assert seen == ["t5", "t4", "t3", "t2", "t1", "t0", "test"]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=",
        "limit=0",
        "limit=501",
        "limit=a",
        "limit=1&limit=2",
        "colour=red",
        "cursor=%00",
        "revoked=1",
    ],
)
def test_a_wrong_query_is_400_and_names_the_parameter(api, problem, query):
    told = problem(api.get(f"tokens?{query}"), 400)

    assert told["errors"][0]["field"] == f"?{query.split('=')[0]}"


def test_a_cursor_of_another_list_is_400(tenant, api, problem):
    tokens.issue(tenant, "second", ["tasks:read"])
    cursor = api.get("tokens?limit=1").json()["next"]

    problem(api.get(f"audit?cursor={cursor}"), 400)
