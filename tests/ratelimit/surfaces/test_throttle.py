"""Requests against policies: what passes, what is told, and that fifty at once count as fifty."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import RequestFactory
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from ratelimit import counting, policies, pool
from ratelimit.throttle import PolicyThrottle

HOUR = {"period_seconds": 3600}


class Open(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    def get(self, request):
        return Response("foo")


class Scoped(Open):
    throttle_scope = "reports"


class ScopedTwice(Open):
    throttle_scope = ("reports", "exports")


def ask(view=Open, address="10.0.0.1", user=None, **headers):
    request = RequestFactory().get("/api/v1/x", REMOTE_ADDR=address, headers=headers)
    request.user = user or AnonymousUser()
    request._force_auth_user = user
    response = view.as_view()(request)
    response.render()
    return response


def statuses(count, *args, **kwargs):
    return [ask(*args, **kwargs).status_code for _ in range(count)]


@pytest.fixture
def by_address(server, only, limit):
    return limit("anon", 36, scope="address", burst=3, applies_to="api", **HOUR)


# --- what DRF documents of its throttles ---------------------------------------------------
def test_an_anonymous_caller_is_limited_by_its_address(by_address):
    assert statuses(4) == [200, 200, 200, 429]

    assert ask(address="10.0.0.2").status_code == 200


def test_without_proxies_the_forwarded_header_is_not_believed(by_address):
    spoofed = [ask(**{"X-Forwarded-For": f"1.1.1.{n}"}).status_code for n in range(4)]

    assert spoofed == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("proxies", "same", "other"),
    [
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4, 5.5.5.5"),
        (2, "6.6.6.6, 1.2.3.4, 9.9.9.9", "6.6.6.6, 5.5.5.5, 9.9.9.9"),
    ],
)
def test_behind_proxies_the_address_that_the_outermost_saw_counts(
    by_address, settings, proxies, same, other
):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    assert proxies == api_settings.NUM_PROXIES

    assert statuses(4, **{"X-Forwarded-For": same})[-1] == 429
    assert ask(**{"X-Forwarded-For": f"7.7.7.7, {same}"}).status_code == 429
    assert ask(**{"X-Forwarded-For": other}).status_code == 200


def test_a_user_is_limited_wherever_the_requests_come_from(server, only, limit):
    limit("people", 36, scope="user", burst=2, applies_to="api", **HOUR)
    one, two = User(pk=1), User(pk=2)

    assert [ask(user=one, address=f"10.0.0.{n}").status_code for n in range(3)] == [200, 200, 429]
    assert ask(user=two).status_code == 200
    assert ask().status_code == 200


def test_a_view_is_limited_by_the_scope_that_it_names(server, only, limit):
    limit("reports", 36, scope="address", burst=2, **HOUR)

    assert statuses(3, Scoped) == [200, 200, 429]
    assert statuses(3, Open) == [200, 200, 200]


def test_a_scope_that_no_policy_has_limits_nothing(server, only):
    assert statuses(3, Scoped) == [200, 200, 200]


def test_a_burst_and_a_sustained_limit_both_hold_and_a_denial_charges_neither(server, only, limit):
    limit("reports", 3600, scope="address", burst=2, **HOUR)
    limit("exports", 36, scope="address", burst=3, **HOUR)
    view = ScopedTwice

    assert statuses(3, view) == [200, 200, 429]
    told = ask(view)

    assert told.data["violated-policies"] == ["reports"]
    assert "exports" not in told["RateLimit"]
    left = policies.buckets_for(["exports"], PolicyThrottle().subject_of(_request()))
    assert _remaining(left) == 1


def _request():
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1")
    request.user, request.auth = None, None
    return request


def _remaining(buckets):
    return pool.limiter().peek(buckets).remaining


def test_a_changed_rate_holds_at_once_and_keeps_what_was_used(server, only, limit, api):
    row = limit("anon", 36, scope="address", burst=3, applies_to="api", **HOUR)
    assert statuses(3) == [200, 200, 200]

    row.burst, row.revision = 5, 2
    row.save()
    policies.forget()

    assert statuses(3) == [200, 200, 429]


# --- at once --------------------------------------------------------------------------------
def test_of_fifty_requests_at_once_exactly_the_burst_passes(server, only, limit, tenant):
    limit("anon", 36, scope="address", burst=20, applies_to="api", **HOUR)
    limit("all", 36, scope="global", burst=30, applies_to="api", **HOUR)
    policies.WATCHER.view()  # the threads share it: this database is only this thread's

    with ThreadPoolExecutor(50) as threads:
        found = list(threads.map(lambda _: ask().status_code, range(50)))

    assert sorted(found) == [200] * 20 + [429] * 30


# --- what is told ---------------------------------------------------------------------------
def test_an_answer_tells_the_policy_and_what_is_left(server, only, limit):
    limit("anon", 3600, scope="address", burst=10, applies_to="api", **HOUR)

    told = ask()

    assert told["RateLimit-Policy"] == '"anon";q=3600;w=3600;ansf-burst=10'
    assert told["RateLimit"] == '"anon";r=9;t=9'
    assert "Retry-After" not in told


def test_the_last_unit_is_told_with_the_wait_for_the_next_one(server, only, limit):
    limit("anon", 360, scope="address", burst=2, applies_to="api", **HOUR)

    assert [ask()["RateLimit"] for _ in range(2)] == ['"anon";r=1;t=10', '"anon";r=0;t=10']


def test_a_denial_is_a_problem_that_names_the_policies_and_when_to_come_back(
    server, only, limit, api
):
    limit("mine", 36, scope="token", burst=1, applies_to="api", **HOUR)
    limit("all", 3600, scope="global", burst=1, applies_to="api", **HOUR)
    assert api.get("swarms").status_code == 200

    denied = api.get("swarms")

    told = denied.json()
    assert denied.status_code == 429
    assert denied["Content-Type"] == "application/problem+json"
    assert told["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert told["violated-policies"] == ["mine", "all"]
    assert 98 <= int(denied["Retry-After"]) <= 100
    waits = [int(found) for found in re.findall(r";t=(\d+)", denied["RateLimit"])]
    assert max(waits) == int(denied["Retry-After"])


def test_a_policy_that_sheds_answers_503(server, only, limit):
    limit("anon", 36, scope="address", burst=1, on_deny="shed", applies_to="api", **HOUR)
    ask()

    denied = ask()

    assert denied.status_code == 503
    assert denied.data["type"].endswith("#temporary-reduced-capacity")
    assert int(denied["Retry-After"]) > 90


def test_a_period_that_is_no_whole_second_is_told_in_whole_seconds(server, only, limit):
    limit("quick", 3, scope="address", period_seconds=1.5, applies_to="api")

    assert ask()["RateLimit-Policy"] == '"quick";q=4;w=2;ansf-burst=3'


def test_a_shadow_policy_counts_but_neither_denies_nor_is_told(server, only, limit):
    limit("trial", 36, scope="address", burst=1, shadow=True, applies_to="api", **HOUR)

    told = [ask() for _ in range(3)]
    counting.TALLY.flush()

    assert [each.status_code for each in told] == [200] * 3
    assert "RateLimit" not in told[-1]
    assert server.hget(counting.TOTALS, ":trial|shadowed") == "2"


def test_each_request_costs_one_call_of_redis(server, only, limit, api):
    for number in range(3):
        limit(f"l{number}", 1000, scope="token", applies_to="api")
    api.get("swarms")

    before = calls(server)
    for _ in range(10):
        api.get("swarms")

    assert calls(server) - before == 10


def calls(server):
    return server.info("commandstats")["cmdstat_evalsha"]["calls"]


# --- without Redis --------------------------------------------------------------------------
@pytest.mark.parametrize(("without", "status"), [("allow", 200), ("deny", 503), ("local", 200)])
def test_without_redis_a_policy_does_what_it_says(nowhere, only, limit, api, without, status):
    limit("all", 1000, scope="global", applies_to="api", without_redis=without)

    told = api.get("swarms")

    assert told.status_code == status
    if status == 503:
        assert told.json()["violated-policies"] == ["all"]
        assert told["Retry-After"] == "1"


def test_the_default_policies_are_on(server, api):
    told = api.get("swarms")

    assert '"api-token";q=12000;w=60;ansf-burst=2000' in told["RateLimit-Policy"]
