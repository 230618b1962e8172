from __future__ import annotations

import json
from dataclasses import replace

import pytest
import redis
from django.core.management import CommandError, call_command

from ansf_platform.accounts.models import Tenant
from gateway import catalogue
from gateway.cache import ResponseCache, pool
from gateway.cache.connection import Connection
from gateway.caching import cache_policy
from gateway.embedder import MINILM
from gateway.models import GatewayPolicy
from gateway.request import Answer, Message, Request
from tests.gateway.cache.conftest import PATIENT_S

pytestmark = pytest.mark.valkey
QUESTION = "How do I reset my router at home?"


@pytest.fixture
def stored(tenant, valkey, settings, monkeypatch, tmp_path):
    """A cache with two answers, which commands ask."""
    settings.REDIS_URL = valkey.database_url(12)
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    cache = ResponseCache(Connection(client, budget_s=PATIENT_S), MINILM)
    monkeypatch.setattr("gateway.management.cache_upkeep.patient_cache", lambda: cache)
    catalogue.forget()
    path = tmp_path / "answers.jsonl"
    lines = [
        {"prompt": QUESTION, "answer": "Hold the button.", "tags": ["router"]},
        {"prompt": "Open on Mondays?", "answer": "From nine.", "cost_nanodollars": 3_000},
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    call_command("cache", "warm", str(path), "--json")
    yield cache
    client.close()


def told(capsys, *arguments):
    capsys.readouterr()
    call_command("cache", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_warmed_answers_are_explained_reported_and_invalidated(stored, capsys):
    found = told(capsys, "explain", QUESTION, "--tag", "router")
    assert (found["level"], found["fields"]["tags"]) == ("exact", ["router"])
    other = told(capsys, "explain", "How can I reset my router at home?", "--tag", "router")
    assert (other["level"], other["entry"], other["in_scope"]) == ("similar", found["entry"], 1)
    assert told(capsys, "explain", QUESTION)["level"] == "none"

    for wrong in (1, 2):
        standing = told(capsys, "report", found["entry"], "--wrong")
        assert (standing["wrong"], standing["quarantined"]) == (wrong, wrong == 2)
    assert told(capsys, "explain", QUESTION, "--tag", "router")["level"] == "none"

    told(capsys, "invalidate", "--all", "--yes")
    assert told(capsys, "explain", "Open on Mondays?")["level"] == "none"
    assert told(capsys, "stats")["entries"] == 0


def test_beside_up_the_cache_of_up_is_meant(stored, valkey, settings, monkeypatch, capsys):
    url, settings.REDIS_URL = settings.REDIS_URL, ""
    monkeypatch.setattr("ansf_platform.first_run.servers.embedded_cache_url", lambda _: url)
    monkeypatch.setattr("gateway.management.cache_upkeep.patient_cache", pool.patient_cache)
    pool.forget()

    assert told(capsys, "stats")["stored"] == 2
    pool.patient_cache().connection.close()
    pool.forget()


def test_stats_are_for_people_too(stored, capsys):
    assert told(capsys, "stats")["stored"] == 2
    call_command("cache", "stats")
    assert "hit rate" in capsys.readouterr().out
    call_command("cache", "explain", "Open on Tuesdays?")
    assert "would be" in capsys.readouterr().out


def missed(cache, *questions):
    tenant = Tenant.objects.get(slug="default")
    policy = cache_policy(tenant.pk, catalogue.view().policy(tenant.pk), asking(tenant, "x"))
    for question in questions:
        cache.find(asking(tenant, question), policy)
    return policy


def asking(tenant, question, **more):
    return Request(tenant=str(tenant.pk), messages=(Message("user", question),), **more)


def test_one_question_that_fails_does_not_end_the_warming_of_the_others(stored, capsys):
    policy = missed(stored, "What is new?")
    odd = asking(Tenant.objects.get(slug="default"), "What is old?", model="absent")
    for _ in range(3):
        stored.find(odd, policy)

    done = told(capsys, "warm", "--missed", "5")

    assert done == {"stored": 1, "present": 0, "not_kept": 0, "failed": {"model_not_found": 1}}
    assert told(capsys, "explain", "What is new?")["level"] == "exact"


def test_missed_questions_are_asked_under_the_policy_that_is_named(stored, tenant, capsys):
    missed(stored, "What is new?")
    GatewayPolicy.objects.create(tenant=tenant, name="low", quality_floor=0.0)
    catalogue.forget()

    assert told(capsys, "warm", "--missed", "5", "--policy", "low")["stored"] == 1
    assert told(capsys, "explain", "What is new?", "--policy", "low")["level"] == "exact"
    assert told(capsys, "explain", "What is new?")["level"] == "none"


def test_what_shadow_mode_would_have_served_is_listed_but_not_of_one_user(stored, tenant, capsys):
    policy = replace(missed(stored), shadow=True)
    for more in ({}, {"visibility": "user", "user": "7"}):
        tags = asking(tenant, QUESTION, tags=("router",), **more)
        stored.keep(stored.find(tags, policy).ticket, Answer(text="a", model="m", provider="p"),
                    policy)  # fmt: skip
        reworded = asking(tenant, "How can I reset my router at home?", tags=("router",), **more)
        assert stored.find(reworded, policy).would_be == "similar"

    call_command("cache", "shadow")

    (line,) = capsys.readouterr().out.strip().splitlines()[-1:]
    shown = json.loads(line)
    assert (shown["a"], shown["b"]) == ("How can I reset my router at home?", QUESTION)
    assert told(capsys, "stats")["shadow"]["similar"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stats", "--hours", "0"), "give 1 to"),
        (("stats", "--tenant", "nobody"), "no tenant"),
        (("warm",), "FILE or --missed"),
        (("warm", "absent.jsonl"), "cannot be read"),
        (("invalidate", "--entry", "t1"), "no entry"),
        (("invalidate", "--scope", "x"), "64 hexadecimal"),
        (("report", "t" + "0" * 24), "--right or --wrong"),
        (("report", "t" + "0" * 24, "--right"), "no entry"),
        (("explain", "q", "--visibility", "user"), "names none"),
        (("explain", "q", "--policy", "absent"), "no gateway policy"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(stored, arguments, said):
    with pytest.raises(CommandError, match=said) as caught:
        call_command("cache", *arguments)

    assert caught.value.returncode == 2


def test_without_redis_a_command_says_to_try_again(stored, monkeypatch):
    alone = ResponseCache(Connection(None), MINILM)
    monkeypatch.setattr("gateway.management.cache_upkeep.patient_cache", lambda: alone)

    with pytest.raises(CommandError, match="try again") as caught:
        call_command("cache", "stats")

    assert caught.value.returncode == 75
