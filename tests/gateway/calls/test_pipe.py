"""The pipe in front of a real server: what is called, paid, stored, given back, and told."""

from __future__ import annotations

import time

import pytest

from gateway import catalogue
from gateway.breaker import Rules
from gateway.errors import (
    ContextTooLong,
    GatewayError,
    KeyMissing,
    ModelUnknown,
    ProviderFailed,
    ProviderRefused,
)
from gateway.models import BudgetHold, LedgerEntry, Provider, RouteRecord
from gateway.pipe import Terms
from gateway.request import HitLevel, Message
from tests.gateway.server import Turn, cut, failing, limited, said_to, slow, wrong_usage

HOT = {"temperature": 1.0}
"""Never cached."""


def test_an_answer_is_called_once_paid_once_and_then_served_from_the_cache(gateway):
    first = gateway.ask("What is a swarm?")
    second = gateway.ask("What is a swarm?")
    third = gateway.ask("  what is a swarm?")

    assert first.text == second.text == third.text == said_to("What is a swarm?")
    levels = [first.hit_level, second.hit_level, third.hit_level]
    assert levels == [HitLevel.NONE, HitLevel.EXACT, HitLevel.NORMALISED]
    assert gateway.server.calls == 1
    assert gateway.spent == gateway.server.money == first.cost_nanodollars > 0
    assert second.cost_nanodollars == 0
    assert second.saved_nanodollars == first.cost_nanodollars
    assert second.entry == first.entry is not None
    assert RouteRecord.objects.get().model == "small"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "many",
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": 7},
        {"prompt_tokens": "12", "completion_tokens": 7},
        {"prompt_tokens": True, "completion_tokens": 7},
        {"prompt_tokens": 12, "completion_tokens": 0},
        {"prompt_tokens": 10**7, "completion_tokens": 3},
        {"prompt_tokens": 12, "completion_tokens": 99_000_000},
        {"prompt_tokens": 12, "completion_tokens": 2_000},  # more than were asked for
        {"prompt_tokens": 10**30, "completion_tokens": 3},
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_usage_that_cannot_be_is_counted_here(gateway, usage, streamed):
    gateway.server.plan(wrong_usage(usage))

    answer = [*gateway.stream(**HOT)][-1].answer if streamed else gateway.ask(**HOT)

    assert answer.usage.total_tokens == gateway.server.tokens
    assert gateway.spent == gateway.server.money


def test_cached_tokens_cost_what_the_server_asks_for_them(gateway):
    gateway.server.plan(Turn(cached=9))

    gateway.ask("A longer question with a good many words in it, so that some are cached", **HOT)

    assert gateway.spent == gateway.server.money
    assert LedgerEntry.objects.get().tokens_cached == 9


def test_the_ledger_equals_the_servers_count_whatever_goes_wrong(gateway):
    turns = [
        *(limited(0), failing(500), Turn(), cut(5), Turn(), failing(503), failing(502), Turn()),
        *(wrong_usage(None), Turn(body=b"not JSON"), Turn(), Turn(body=b'{"choices": []}'), Turn()),
        *(limited(0), cut(0), failing(500)),  # three in a row: this one is not answered
    ]
    gateway.around = gateway.surroundings(Rules(least_calls=99))
    gateway.server.plan(*turns)
    failed = 0
    for number in range(12):
        try:
            if number % 2:
                list(gateway.stream(f"Question {number}", **HOT))
            else:
                gateway.ask(f"Question {number}", **HOT)
        except ProviderFailed:
            failed += 1

    assert gateway.server.answered == 12 - failed == gateway.entries
    assert failed >= 1
    assert gateway.spent == gateway.server.money > 0
    assert BudgetHold.objects.count() == 0


def test_retry_after_is_waited_for(gateway):
    gateway.server.plan(limited(0.4))

    gateway.ask(**HOT)

    first, second = gateway.server.at
    assert second - first >= 0.4


def test_a_wait_beyond_the_time_of_the_call_is_told_at_once(gateway):
    gateway.server.plan(limited(50))
    began = time.monotonic()

    with pytest.raises(ProviderFailed) as caught:
        gateway.ask(terms=Terms(seconds=5.0), **HOT)

    assert time.monotonic() - began < 4
    assert caught.value.status == 429
    assert caught.value.retry_after == 50
    assert gateway.server.calls == 1


def test_what_the_provider_refuses_is_not_tried_again_and_says_why(gateway):
    gateway.server.plan(failing(422))

    with pytest.raises(ProviderRefused, match="told to say 422") as caught:
        gateway.ask()

    assert caught.value.status == 400
    assert gateway.server.calls == 1
    assert gateway.entries == 0


def test_the_next_model_answers_when_the_first_cannot(gateway):
    backup = gateway.add_provider("backup", retries=0)
    gateway.add_model("backup", backup, quality=0.8, output_price=2 * 600_000_000)
    Provider.objects.filter(name="main").update(base_url="http://127.0.0.1:9/v1")
    catalogue.forget()

    answer = gateway.ask(**HOT)

    assert answer.model == "backup"
    assert LedgerEntry.objects.get().provider == "backup"
    assert BudgetHold.objects.count() == 0


def test_a_stream_is_the_answer_in_pieces_and_is_stored_when_it_is_complete(gateway):
    chunks = list(gateway.stream("What is it?"))

    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == said_to("What is it?")
    assert chunks[-1].answer.text == said_to("What is it?")
    assert gateway.ask("What is it?").hit_level is HitLevel.EXACT
    assert gateway.spent == gateway.server.money


def test_a_hit_streams_as_well(gateway):
    gateway.ask("What is it?")

    chunks = list(gateway.stream("What is it?"))

    assert "".join(chunk.text for chunk in chunks) == said_to("What is it?")
    assert chunks[-1].answer.hit_level is HitLevel.EXACT
    assert gateway.server.calls == 1


@pytest.mark.parametrize("turn", [cut(3), Turn(silent=True)])
def test_a_stream_that_breaks_off_is_an_error_neither_paid_nor_stored(gateway, turn):
    gateway.server.plan(turn)
    said = []

    with pytest.raises(ProviderFailed):
        said.extend(chunk.text for chunk in gateway.stream("What is it?"))

    assert gateway.server.calls == 1  # a part was passed on: nobody else can give the rest
    assert gateway.entries == 0
    assert gateway.ask("What is it?").hit_level is HitLevel.NONE


def test_a_stream_that_breaks_before_its_first_piece_is_tried_again(gateway):
    gateway.server.plan(cut(0))

    chunks = list(gateway.stream("What is it?"))

    assert chunks[-1].answer.text == said_to("What is it?")
    assert gateway.server.calls == 2
    assert gateway.spent == gateway.server.money


def test_who_goes_away_ends_the_call_pays_what_was_said_and_stores_nothing(gateway):
    gateway.server.plan(Turn(drip_s=0.05))
    chunks = gateway.stream("What is it?")
    next(chunks)
    chunks.close()

    whole = gateway.ask("What is it?")

    assert whole.hit_level is HitLevel.NONE
    part = LedgerEntry.objects.order_by("pk").first()
    assert 0 < part.tokens_out < whole.usage.completion_tokens
    assert 0 < part.cost < whole.cost_nanodollars
    until = time.monotonic() + 10
    while not gateway.server.broken and time.monotonic() < until:
        time.sleep(0.02)
    assert gateway.server.broken == 1


def test_a_server_that_sends_drop_by_drop_is_given_up(gateway):
    gateway.provider.timeout_seconds, gateway.provider.retries = 0.8, 0
    gateway.provider.save()
    gateway.server.plan(Turn(drip_s=0.15))

    with pytest.raises(ProviderFailed, match=r"within 0\.8 s|in time"):
        list(gateway.stream())

    assert gateway.entries == 0


def test_a_slow_server_is_given_up_and_nothing_is_paid(gateway):
    gateway.provider.timeout_seconds, gateway.provider.retries = 0.2, 0
    gateway.provider.save()
    gateway.server.plan(slow(1.0))

    with pytest.raises(ProviderFailed, match="in time"):
        gateway.ask()

    assert gateway.entries == 0


# --- what cannot be asked -----------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "error", "status"),
    [
        ({"model": "nothing-like-it"}, ModelUnknown, 404),
        ({"model": "nothing\r\nX-Evil: 1"}, ModelUnknown, 404),
        ({"messages": ()}, GatewayError, 400),
        ({"messages": (Message("user", "word " * 20_000),), "model": "small"}, ContextTooLong, 400),
        ({"policy": "nowhere"}, GatewayError, 400),
    ],
)
def test_what_cannot_be_asked_is_told_and_costs_nothing(gateway, fields, error, status):
    with pytest.raises(error) as caught:
        gateway.ask(**fields)

    assert caught.value.status == status
    assert gateway.server.calls == 0
    assert gateway.entries == 0


@pytest.mark.parametrize("value", [None, "", "wrong", "naïve"])
def test_a_missing_or_wrong_key_names_the_variable_or_the_reason(gateway, monkeypatch, value):
    gateway.server.needs_key = True
    gateway.provider.key_env = "TEST_MODEL_KEY"
    gateway.provider.save()
    monkeypatch.delenv("TEST_MODEL_KEY")
    if value is not None:
        monkeypatch.setenv("TEST_MODEL_KEY", value)

    with pytest.raises(KeyMissing, match=r"TEST_MODEL_KEY|check the key") as caught:
        gateway.ask()

    assert caught.value.status == 503
    assert gateway.server.answered == gateway.entries == 0


def test_the_right_key_is_sent(gateway):
    gateway.server.needs_key = True
    gateway.provider.key_env = "TEST_MODEL_KEY"
    gateway.provider.save()

    assert gateway.ask().text


def test_without_a_model_the_local_provider_answers_and_says_that_it_is_simulated(gateway):
    gateway.provider.enabled = False
    gateway.provider.models.all().delete()

    answer = gateway.ask("The sky is blue. Grass is green. What colour is grass?")

    assert answer.text == "Grass is green."
    assert answer.simulated
    assert gateway.ask("The sky is blue. Grass is green. What colour is grass?").simulated
    assert LedgerEntry.objects.filter(simulated=True).count() == 2


def test_a_trials_answer_is_not_given_once_there_is_a_model(gateway):
    gateway.provider.models.all().delete()
    assert gateway.ask("Is it so?").simulated
    gateway.add_model("later", quality=0.9)

    assert not gateway.ask("Is it so?").simulated
