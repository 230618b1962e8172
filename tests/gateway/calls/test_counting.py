"""Tokens: all that is sent is counted before the call, as the model that is called counts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BudgetExhausted, ContextTooLong
from gateway.models import Budget
from gateway.pipe import measuring
from gateway.prompts import MARGIN, size_of
from gateway.request import Message
from gateway.tokens import count
from ratelimit import policies
from ratelimit.models import Policy
from ratelimit.subject import Subject
from tests.gateway.server import Turn, tokens_of

HOT = {"temperature": 1.0}
HI = (Message("user", "hi"),)
DOCUMENT = {"type": "document", "text": "Look closely. " * 4_000}
TOOL = {"type": "function", "function": {"name": "look", "description": "Look closely. " * 4_000}}


def test_a_chat_of_text_is_counted_as_the_provider_does(gateway):
    turns = (
        Message("system", "Answer in one word."),
        Message("user", "Who are you?", name="ilse"),
        Message("assistant", "Nobody."),
        Message("user", "Naïve café, 日本語, and 3.1415 — are these words?"),
    )

    answer = gateway.ask(messages=turns, **HOT)

    assert answer.route.tokens_in == answer.usage.prompt_tokens
    assert gateway.spent == gateway.server.money


def test_what_the_provider_told_is_paid_and_not_our_own_count(gateway):
    gateway.server.plan(Turn(preamble=70))

    answer = gateway.ask(**HOT)

    assert answer.usage.prompt_tokens == answer.route.tokens_in + 70
    assert gateway.spent == gateway.server.money


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": (TOOL,)},
        {"response_format": {"type": "json_schema", "json_schema": TOOL["function"]}},
        {"messages": (*HI, Message("assistant", "", tool_calls=(TOOL,)), *HI)},
        {"messages": (Message("user", "hi", parts=(DOCUMENT,)),)},
    ],
    ids=["tools", "schema", "calls", "parts"],
)  # fmt: skip
def test_what_comes_beside_the_texts_is_held_before_the_call(gateway, fields):
    Budget.objects.create(tenant=gateway.tenant, name="month", hard=1_000_000)
    asked = {"model": "big", "messages": HI, **fields, **HOT}
    gateway.add_model("big", context_window=200_000, quality=0.9)

    with pytest.raises(BudgetExhausted):
        gateway.ask(**asked)
    with pytest.raises(ContextTooLong):
        gateway.ask(**asked | {"model": "small"})

    assert gateway.server.calls == 0
    Budget.objects.all().delete()
    Policy.objects.create(
        name="tokens", limit=100, burst=100_000, unit="tokens", period_seconds=Decimal(3600),
        scope="global", applies_to="gateway",
    )  # fmt: skip
    policies.forget()
    buckets = policies.applying("gateway", Subject(tenant=str(gateway.tenant.pk), model="big"))
    answer = gateway.ask(**asked)
    assert answer.route.tokens_in >= 8_000
    left = gateway.around.limiter.peek_many(buckets)[0].remaining
    assert 100_000 - gateway.server.tokens == pytest.approx(left, abs=10)


def test_a_picture_counts_as_the_model_takes_it_and_not_by_its_bytes():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}
    turns = [Message("user", "What is this?", parts=(picture,))]

    assert 1_000 < size_of(turns, "gpt-4o").tokens < 2_000
    assert size_of(turns, "gpt-4o-mini").tokens > 30_000
    assert not size_of(turns, "gpt-4o").exact


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_a_count_grows_with_whatever_is_added(texts, more):
    turns = [Message("user", text) for text in texts]
    tool = {"type": "function", "function": {"name": more}}

    size = size_of(turns, "gpt-4o")

    assert size.exact
    assert size.tokens == 3 + sum(4 + tokens_of(text) for text in texts)
    assert size_of([*turns, Message("user", more)], "gpt-4o").tokens >= size.tokens + 4
    assert size_of(turns, "gpt-4o", [tool]).tokens > size.tokens
    assert size_of(turns, "unknown").upper >= MARGIN * size_of(turns, "unknown").tokens


def test_a_model_asked_for_by_an_own_name_is_counted_by_what_it_is(gateway):
    answer = gateway.ask(
        "Antidisestablishmentarianism, incomprehensibilities. " * 20, model="small"
    )

    assert answer.route.tokens_in == answer.usage.prompt_tokens


def test_the_rule_is_corrected_by_what_a_provider_reports(gateway):
    gateway.add_model("odd", upstream="odd-vocabulary", quality=0.9)
    gateway.server.plan(then=Turn(preamble=150))
    question = "Which of the harbours in the north has the most boats, and how many are there? " * 6

    answers = [gateway.ask(f"{question} {n}", model="odd", **HOT) for n in range(4)]

    wrong = [abs(each.route.tokens_in / MARGIN / each.usage.prompt_tokens - 1) for each in answers]
    assert wrong[0] > 0.3
    assert wrong[-1] < 0.05
    assert gateway.spent == gateway.server.money


def test_calibrations_are_bounded(monkeypatch):
    monkeypatch.setattr(measuring, "_MOST_REMEMBERED", 10)
    found = measuring.Calibrations()

    for number in range(100):
        found.learn(f"model {number}", 100, 10**9)

    assert len(found._found) <= 10
    assert found.of("model 99").factor == 3.0


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "unknown"])
def test_a_text_of_any_length_is_counted_and_parts_make_no_difference(model):
    text = " the harbour, 1234 boats; nothing else" * 8

    once, often = count(text, model), count(text * 4_000, model)  # 1.2 million characters

    assert often.exact == once.exact
    assert often.tokens == pytest.approx(4_000 * once.tokens, rel=0.001)
    assert count("aB3$" * 100_000, model).tokens > 100_000  # without a blank to part it at
