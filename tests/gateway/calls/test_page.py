"""The page of the gateway tells what was answered, what it cost, and who rests."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from ansf_platform.accounts.models import Membership
from dashboard.gateway import FRESH_S, REPORTS, GatewayBoard, Reports
from gateway.breaker.shared import Breakers
from gateway.cache.connection import Connection
from gateway.cache.response_cache import ResponseCache
from gateway.embedder import Hashing
from gateway.models import Budget
from tests.gateway.server import failing


def text_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def viewer(tenant, name="viewer"):
    person = User.objects.create_user(name)
    Membership.objects.create(user=person, tenant=tenant, role=Membership.Role.VIEWER)
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def shown(gateway, monkeypatch):
    """The page's text for somebody of the tenant; its counts are the default keys' own."""
    cache = ResponseCache(Connection(gateway.client, budget_s=10), Hashing())
    gateway.around = replace(gateway.around, cache=cache)
    gateway.client.flushdb()
    monkeypatch.setattr("dashboard.gateway.surroundings", lambda: gateway.around)
    monkeypatch.setattr("dashboard.gateway.patient_cache", lambda: gateway.around.cache)
    REPORTS.forget()
    client = viewer(gateway.tenant)

    def ask(address="/gateway/"):
        answer = client.get(address)
        assert answer.status_code == 200
        return text_of(answer.content.decode())

    return ask


def test_before_the_first_call_it_says_so(shown):
    told = shown()

    assert "No call in the last 24 hours" in told
    assert "Nothing was called yet" in told
    assert "No miss was near an entry" in told


def test_it_tells_hits_cost_savings_and_budgets(gateway, shown):
    Budget.objects.create(tenant=gateway.tenant, name="month", hard=10**9)
    for question in ("What is it?", "What is it?", "what is it", "How is it?"):
        gateway.ask(question)

    told = shown("/gateway/board")

    assert re.search(r"exact 1 .*normalised 1 .*model 2", told)
    assert f"Spent ${gateway.server.money / 1e9:.6f}" in told
    assert re.search(r"small 4 2 ", told)
    assert "below the threshold" in told  # "How is it?" was near "What is it?"
    assert "month" in told
    assert "ok closed" in told


def test_it_tells_which_provider_rests(gateway, shown):
    gateway.provider.retries = 0
    gateway.provider.save()
    gateway.around = gateway.surroundings(replace(gateway.around.breakers._rules, open_ms=60_000))
    gateway.server.plan(then=failing())
    for number in range(4):
        with pytest.raises(Exception, match="failed"):
            gateway.ask(f"Question {number}", temperature=1.0)

    told = shown()

    assert "1 at rest" in told
    assert "main ✕ failed open: not called" in told


def test_what_was_awaited_is_not_counted_as_a_call_of_a_model():
    counts = {"exact": 5, "normalised": 0, "similar": 1, "coalesced": 3}
    cache = SimpleNamespace(hits=counts, misses=7, hit_rate=9 / 13)
    board = GatewayBoard(None, None, None, cache, 0.9, "balanced", (), None, ())

    assert board.hits == [*counts.items(), ("model", 4)]


def test_costs_are_summed_once_for_all_viewers_of_ten_seconds(
    gateway, django_assert_max_num_queries
):
    clock = [0.0]
    reports, since = Reports(lambda: clock[0]), timezone.now().date()
    gateway.ask()
    first = reports.of(gateway.tenant, since)
    gateway.ask("Another?")

    with django_assert_max_num_queries(0):
        assert reports.of(gateway.tenant, since) is first
    clock[0] = FRESH_S
    assert reports.of(gateway.tenant, since).total.calls == first.total.calls + 1


def test_without_redis_it_says_so(gateway, shown):
    away = Connection(None)
    gateway.around = replace(
        gateway.around, cache=ResponseCache(away, Hashing()), breakers=Breakers(away)
    )

    told = shown()

    assert "Redis does not answer" in told
    assert "this process alone" in told


def test_a_stranger_sees_neither_page_nor_costs(gateway, shown, other_tenant):
    gateway.ask()

    assert (
        "small"
        not in text_of(
            viewer(other_tenant, "stranger").get("/gateway/").content.decode()
        ).partition("Cost by model")[2]
    )
    assert viewer(other_tenant, "other").get("/gateway/?tenant=default").status_code == 403
    assert Client().get("/gateway/").status_code == 302
    assert Client().get("/gateway/board").status_code == 401
