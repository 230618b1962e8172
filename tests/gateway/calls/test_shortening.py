"""Prompts that a policy has shortened: what is sent, what it is held to cost, what is refused."""

from __future__ import annotations

import pytest

from gateway.errors import ContextTooLong
from gateway.models import LedgerEntry
from gateway.request import Message

HOT = {"temperature": 1.0}
FACTS = " ".join(f"The boats of harbour {chr(97 + n % 26)} are painted anew." for n in range(60))
IDLE = "Cats sleep all day, and dogs do as well. " * 4
QUESTION = "Where do the ferries leave from?"


def chat(*lines):
    roles = ("user", "assistant") * len(lines)
    return tuple(Message(role, line) for role, line in zip(roles, lines, strict=False))


LONG = tuple(
    Message(role, f"{name} sleep all day and say so in turn {'abcdefghij'[number]} of the chat.")
    for number in range(10)
    for role, name in (("user", "Cats"), ("assistant", "Dogs"))
)


def sent(gateway):
    return [message["content"] for message in gateway.server.bodies[-1]["messages"]]


def test_a_prompt_that_fits_once_it_is_shortened_is_answered(gateway):
    gateway.add_model("tight", context_window=150, quality=0.9)
    asked = {"messages": (*LONG, Message("user", QUESTION)), "model": "tight", **HOT}
    with pytest.raises(ContextTooLong):
        gateway.ask(**asked, max_tokens=20)
    gateway.change(compress=True, token_budget=30)

    answer = gateway.ask(**asked, max_tokens=20)

    assert answer.text
    assert sent(gateway)[-1] == QUESTION
    assert all(sent(gateway))
    assert answer.route.tokens_in == answer.usage.prompt_tokens < 150
    assert LedgerEntry.objects.get().saved_compression > 0
    assert gateway.spent == gateway.server.money


def test_a_prompt_that_does_not_fit_even_then_is_refused_before_the_call(gateway):
    gateway.add_model("tight", context_window=150, quality=0.9)
    gateway.change(compress=True, token_budget=30)
    kept = " ".join(f"Number {n} is not {n + 1}." for n in range(60))

    with pytest.raises(ContextTooLong, match="even when it is shortened"):
        gateway.ask(messages=(*chat(kept, "Yes."), Message("user", QUESTION)), model="tight", **HOT)

    assert gateway.server.calls == gateway.entries == 0


def test_a_question_that_is_asked_again_is_sent_again(gateway):
    gateway.change(compress=True)

    gateway.ask(messages=chat(QUESTION, "From the old harbour, they say.", QUESTION), **HOT)

    assert sent(gateway)[-1] == QUESTION


def test_a_policy_keeps_as_many_examples_as_it_says(gateway):
    gateway.change(compress=True, examples=1)
    examples = "".join(
        f"Q: How is {food} made?\nA: With {tool}.\n"
        for food, tool in (("bread", "an oven"), ("cheese", "milk"), ("juice", "a press"))
    )

    gateway.ask(messages=(Message("system", examples), *chat("How is cheese made?")), **HOT)

    assert sent(gateway)[0].strip() == "Q: How is cheese made?\nA: With milk."


def test_turns_with_parts_and_tools_are_sent_as_they_came(gateway):
    gateway.change(compress=True, token_budget=1)
    gateway.add_model("wide", upstream="gpt-4o", context_window=100_000, supports_tools=True)
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{ }"}}
    turns = (
        Message("user", IDLE, parts=({"type": "text", "text": IDLE},)),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", IDLE, tool_call_id="c1"),
        Message("assistant", IDLE),
        Message("assistant", FACTS),
        Message("user", QUESTION),
    )

    gateway.ask(messages=turns, model="wide", **HOT)

    first, calls, tool, *_, last = gateway.server.bodies[-1]["messages"]
    assert first["content"] == [{"type": "text", "text": IDLE}]
    assert calls["tool_calls"] == [call]
    assert (tool["content"], last["content"]) == (IDLE, QUESTION)
    assert sent(gateway)[3] == "…"
