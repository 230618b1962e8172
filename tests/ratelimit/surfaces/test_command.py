"""``manage.py limit``: what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ratelimit import counting, policies, pool
from ratelimit.models import Policy
from ratelimit.subject import Subject


def run(capsys, *words):
    call_command("limit", *words)
    return capsys.readouterr().out


def as_json(capsys, *words):
    return json.loads(run(capsys, *words, "--json"))


def spend(cost, model="small"):
    buckets = policies.buckets_for(["models"], Subject(model=model))
    pool.limiter().acquire(buckets, cost)
    counting.TALLY.flush()


@pytest.fixture
def models(server, only, capsys):
    return run(capsys, "set", "models", "--limit=36", "--period=3600", "--burst=10",
               "--scope=model")  # fmt: skip


def test_a_limit_is_set_changed_and_removed(models, capsys):
    assert models == "models: created\n"
    assert run(capsys, "set", "models", "--limit=72") == "models: limit 36 → 72\n"
    assert run(capsys, "set", "models", "--limit=72") == "models: unchanged\n"
    told = as_json(capsys, "set", "models", "--burst=limit", "--no-enabled")
    assert (told["limit"], told["burst"], told["enabled"]) == (72, None, False)
    assert run(capsys, "remove", "models") == "models: removed\n"
    assert not Policy.objects.exists()


def test_list_and_show_tell_levels_and_rates(models, capsys):
    spend(8)
    spend(8)

    row = as_json(capsys, "list")["limits"][0]
    shown = as_json(capsys, "show", "models")

    assert (row["name"], row["tenant"], row["limit"]) == ("models", None, 36)
    assert (
        shown["state"]["keys"][0] | {"key": "model:small", "remaining": 2}
        == (shown["state"]["keys"][0])
    )
    text = run(capsys, "show", "models")
    assert "2 of 10  model:small" in text
    assert "36 requests / 3600 s" in run(capsys, "list")


def test_test_says_what_would_happen_and_exits_with_3_when_denied(models, capsys):
    spend(8)

    told = as_json(capsys, "test", "models", "--model=small", "--times=5")
    with pytest.raises(SystemExit) as denied:
        run(capsys, "test", "models", "--model=small", "--cost=3")
    capsys.readouterr()

    assert (told["passes"], told["remaining"], told["left"]) == (2, 2, 0)
    assert denied.value.code == 3
    assert as_json(capsys, "test", "models", "--model=small")["left"] == 1


def test_reset_fills_a_bucket_up(models, capsys):
    spend(8)

    run(capsys, "reset", "models", "--model=small")

    assert as_json(capsys, "test", "models", "--model=small")["remaining"] == 10


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody"),
        ("test", "models"),
        ("test", "models", "--model=small", "--cost=-1"),
        ("set", "models", "--limit=many"),
        ("set", "new"),
        ("list", "--tenant=nobody"),
        ("remove", "nobody"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_and_exit_code_2(models, words):
    with pytest.raises(CommandError) as wrong:
        call_command("limit", *words)

    assert wrong.value.returncode in {1, 2}
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("verb", ["test", "reset"])
def test_without_redis_it_says_to_try_again(nowhere, only, limit, verb):
    limit("models", 10, scope="model")

    with pytest.raises(CommandError) as away:
        call_command("limit", verb, "models", "--model=small")

    assert away.value.returncode == 75
    assert "Redis" in str(away.value)
