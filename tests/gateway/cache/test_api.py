from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from ansf_platform.accounts import tokens
from ansf_platform.accounts.scopes import SCOPES
from gateway import catalogue
from gateway.cache import ResponseCache
from gateway.cache.connection import Connection
from gateway.cache.scope import scope_of
from gateway.caching import cache_policy
from gateway.embedder import Hashing
from gateway.models import GatewayPolicy, LanguageModel, Provider
from gateway.request import Answer, Message, Request
from tests.api.conftest import Api
from tests.gateway.cache.conftest import PATIENT_S

pytestmark = pytest.mark.valkey
QUESTION = "How do I reset my router at home?"
LINE = {"prompt": QUESTION, "answer": "Hold the button.", "tags": ["router"]}


@pytest.fixture
def caller():
    def make(tenant, *scopes):
        return Api(tokens.issue(tenant, "test", scopes or SCOPES)[1])

    return make


@pytest.fixture
def shared_cache(valkey):
    client = redis.Redis.from_url(valkey.database_url(13))
    client.flushdb()
    yield ResponseCache(Connection(client, budget_s=PATIENT_S), Hashing())
    client.close()


@pytest.fixture
def api(tenant, caller, shared_cache, monkeypatch):
    monkeypatch.setattr("gateway.api.caching.patient_cache", lambda: shared_cache)
    catalogue.forget()
    return caller(tenant)


def explained(api, **body):
    return api.post(
        "gateway/cache/explain", {"question": QUESTION, "tags": ["router"], **body}
    ).json()


def test_warm_explain_report_invalidate_and_count_over_rest(api):
    assert api.post("gateway/cache/warm", {"lines": [LINE]}).json() == {"stored": 1, "refused": {}}
    found = explained(api)
    assert found["level"] == "exact"
    near = explained(api, question="How can I reset my router at home?")
    assert near["verdicts"][0]["entry"] == found["entry"]

    reported = api.post(f"gateway/cache/entries/{found['entry']}/report", {"ok": False})
    assert reported.json() == {
        "entry": found["entry"],
        "right": 0,
        "wrong": 1,
        "quarantined": False,
    }

    assert api.post("gateway/cache/invalidate", {"tags": ["router"]}).status_code == 200
    assert explained(api)["level"] == "none"
    assert api.get("gateway/cache?hours=1").json()["stored"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("invalidate", {}, 422),
        ("invalidate", {"tags": ["a"], "all": True}, 422),
        ("invalidate", {"entry": "t" + "0" * 24}, 404),
        ("invalidate", {"scope": "x" * 64}, 404),
        ("invalidate", {"all": True, "shared": True}, 403),
        ("warm", {"lines": []}, 422),
        ("warm", {"lines": [{**LINE, "visibility": "global"}]}, 403),
        ("explain", {"question": QUESTION, "policy": "absent"}, 422),
        ("explain", {"question": QUESTION, "visibility": "user"}, 422),
        ("entries/nonsense/report", {"ok": True}, 404),
    ],
)
def test_what_cannot_be_done_is_a_problem(api, path, body, status):
    answer = api.post(f"gateway/cache/{path}", body)

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_another_tenant_sees_reports_and_invalidates_nothing_of_it(api, other_tenant, caller):
    api.post("gateway/cache/warm", {"lines": [LINE]})
    entry = explained(api)["entry"]
    stranger = caller(other_tenant)

    assert explained(stranger)["level"] == "none"
    assert stranger.get("gateway/cache").json()["stored"] == 0
    assert stranger.post(f"gateway/cache/entries/{entry}/report", {"ok": False}).status_code == 404
    assert stranger.post("gateway/cache/invalidate", {"entry": entry}).status_code == 404
    assert stranger.post("gateway/cache/invalidate", {"all": True}).status_code == 200
    assert explained(api)["entry"] == entry


def test_reading_is_not_changing_and_without_redis_it_says_try_again(
    api, tenant, caller, monkeypatch
):
    reader = caller(tenant, "gateway:read")
    assert reader.post("gateway/cache/warm", {"lines": [LINE]}).status_code == 403

    alone = ResponseCache(Connection(None), Hashing())
    monkeypatch.setattr("gateway.api.caching.patient_cache", lambda: alone)
    assert reader.get("gateway/cache").status_code == 503


def test_what_other_tenants_asked_is_not_shown_where_answers_are_shared(
    api, tenant, other_tenant, shared_cache
):
    row = GatewayPolicy.objects.create(tenant=tenant, name="open", visibility="global")
    catalogue.forget()
    asked = Request(tenant=str(other_tenant.pk), messages=(Message("user", QUESTION),),
                    visibility="global")  # fmt: skip
    policy = cache_policy(tenant.pk, row, asked)
    found = shared_cache.find(asked, policy)
    shared_cache.keep(found.ticket, Answer(text="Hold it.", model="m", provider="p"), policy)

    told = explained(api, policy="open", visibility="global", tags=[],
                     question="How can I reset my router at home?")  # fmt: skip

    (verdict,) = told["verdicts"]
    assert verdict["entry"].startswith("s")
    assert (verdict["question"], verdict["score"] > 0) == ("", True)


def test_a_tenants_own_model_of_the_same_name_shares_nothing(db, tenant, other_tenant):
    asked = Request(tenant="1", messages=(Message("user", QUESTION),), model="gpt",
                    visibility="global")  # fmt: skip

    def scopes(request):
        catalogue.forget()
        return [
            scope_of(request, cache_policy(each.pk, GatewayPolicy(), request), "e").key()
            for each in (tenant, other_tenant)
        ]

    before, free = scopes(asked), scopes(replace(asked, model=None))
    provider = Provider.objects.create(name="mine", kind=Provider.Kind.EXTRACTIVE)
    LanguageModel.objects.create(tenant=tenant, name="gpt", upstream="x", provider=provider)
    after, free_after = scopes(asked), scopes(replace(asked, model=None))

    assert before[0] == before[1] == after[1] != after[0]
    assert free[0] == free[1] == free_after[1] != free_after[0]
    another = scopes(replace(asked, model="another"))
    assert another[0] == another[1]
