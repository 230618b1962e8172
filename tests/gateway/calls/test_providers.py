"""Providers: what they say is passed on as it is, bounded in time, and kept if it is whole."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from gateway.errors import ProviderFailed
from gateway.openai_api import reading, writing
from gateway.pipe import Terms, complete
from gateway.providers import extractive
from gateway.providers.call import Call
from gateway.providers.connections import close_async
from gateway.providers.extractive import LONGEST_SENTENCE, NOTHING, Extractive
from gateway.providers.openai_http import OpenAIHttp
from gateway.request import HitLevel, Message
from tests.gateway.server import Turn, said_to

NO = "I am not going to tell."


def asked(text, **fields):
    return Call(model="extractive", messages=(Message("user", text),), **fields)


def ended(gateway, finish, *, streamed):
    """The answer to a question whose answer ends so."""
    gateway.server.plan(then=Turn(finish=finish))
    return [*gateway.stream()][-1].answer if streamed else gateway.ask()


# --- refusals and ends --------------------------------------------------------------------
def test_a_refusal_is_told_as_one_and_never_kept(gateway):
    gateway.server.plan(then=Turn(message={"refusal": NO}))

    answers = [gateway.ask() for _ in range(2)]

    assert [(answer.text, answer.refused) for answer in answers] == [(NO, True)] * 2
    assert gateway.server.calls == 2
    message = writing.completion(answers[0], "id", 0)["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, NO)


def test_a_refusal_is_streamed_as_one(gateway):
    gateway.server.plan(then=Turn(message={"refusal": NO}))

    chunks = list(gateway.stream())

    assert "".join(chunk.refusal for chunk in chunks) == chunks[-1].answer.text == NO
    assert not any(chunk.text for chunk in chunks)
    assert chunks[-1].answer.refused
    deltas = [writing.piece(each, "id", 0, first=False)["choices"][0]["delta"] for each in chunks]
    assert "".join(delta.get("refusal", "") for delta in deltas) == NO
    assert gateway.ask().hit_level is HitLevel.NONE


@pytest.mark.parametrize(
    ("finish", "told"),
    [
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("abort", "error"),
        (None, "error"),
        (7, "error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_only_an_answer_that_is_known_to_be_whole_is_kept(gateway, finish, told, streamed):
    answer = ended(gateway, finish, streamed=streamed)

    assert (answer.text, answer.finish_reason) == (said_to("What is it?"), told)
    again = gateway.ask()
    assert again.hit_level is (HitLevel.EXACT if told == "stop" else HitLevel.NONE)


# --- what is sent -------------------------------------------------------------------------
def test_parts_are_sent_in_their_order_with_all_their_members(gateway):
    parts = [
        {"type": "text", "text": "First:", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}},
        {"type": "text", "text": "Second:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,bbbb"}},
    ]
    body = {"model": "wide", "messages": [{"role": "user", "content": parts}]}
    gateway.add_model("wide", upstream="gpt-4o", context_window=128_000)

    request = reading.request_of(body, str(gateway.tenant.pk))
    complete(request, Terms(), gateway.around)

    assert request.question == "First:\nSecond:"
    assert gateway.server.bodies[0]["messages"] == body["messages"]


def test_a_single_part_that_is_only_a_text_is_a_text(gateway):
    body = {"model": "small", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}]}
    ]}  # fmt: skip

    complete(reading.request_of(body, str(gateway.tenant.pk)), Terms(), gateway.around)

    assert gateway.server.bodies[0]["messages"] == [{"role": "user", "content": "What is it?"}]
    assert gateway.ask(model="small").hit_level is HitLevel.EXACT


def test_a_picture_beside_a_content_follows_it(gateway):
    picture = {"type": "image_url", "image_url": {"url": "https://files.example/a.png"}}

    gateway.add_model("wide", upstream="gpt-4o", context_window=128_000)

    gateway.ask(messages=(Message("user", "What is this?", parts=(picture,)),), model="wide")

    sent = gateway.server.bodies[0]["messages"][0]["content"]
    assert sent == [{"type": "text", "text": "What is this?"}, picture]


# --- time ---------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["complete", "stream", "acomplete", "astream"])
def test_a_call_has_one_deadline_for_waiting_and_reading(server, mode):
    provider, call = OpenAIHttp("main", server.url), asked("What is it?", seconds=1.0)
    server.plan(Turn(delay_s=0.7, stall_s=2.0))  # waiting alone takes longer than is left then
    began = time.monotonic()

    async def awaited():
        try:
            if mode == "acomplete":
                return await provider.acomplete(call)
            return [piece async for piece in provider.astream(call)]
        finally:
            await close_async()

    calls = {
        "complete": lambda: provider.complete(call),
        "stream": lambda: [*provider.stream(call)],
    }
    with pytest.raises(ProviderFailed, match=r"within 1 s|in time"):
        calls.get(mode, lambda: asyncio.run(awaited()))()

    assert time.monotonic() - began < 1.5


def test_a_deadline_that_was_met_cuts_nobody_elses_connection(server):
    provider = OpenAIHttp("main", server.url)

    provider.complete(asked("One", seconds=0.3))
    server.plan(Turn(delay_s=0.5))

    assert provider.complete(asked("Two", seconds=5.0)).text == said_to("Two")


# --- the local one ------------------------------------------------------------------------
def test_a_long_text_without_a_full_stop_is_answered_soon_and_cut_to_size():
    text = "swallow harbour lantern " * 40_000 + "? Where is the lantern?"
    began = time.process_time()

    reply = Extractive().complete(asked(text, max_tokens=20))

    assert time.process_time() - began < 2
    assert 0 < reply.usage.completion_tokens <= 20
    assert reply.finish_reason == "length"
    whole = Extractive().complete(asked(text))
    assert len(whole.text) <= 3 * (LONGEST_SENTENCE + 1)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8, 100])
def test_an_answer_has_as_many_words_as_fit(most):
    text = "Harbours are full of ships, boats, nets and gulls. What are harbours full of?"

    words = Extractive().complete(asked(text, max_tokens=most)).text.split(" ")

    whole = Extractive().complete(asked(text)).text.split(" ")
    assert words == whole[: len(words)]
    more = " ".join(whole[: len(words) + 1])
    assert words == whole or extractive.count(more).tokens > most


def test_a_context_that_says_nothing_is_told_so():
    assert Extractive().complete(asked("Why?")).text == NOTHING


def test_the_event_loop_does_not_do_the_work(db, monkeypatch):
    where = []
    monkeypatch.setattr(
        extractive, "extract", lambda _: where.append(threading.current_thread()) or "Yes."
    )

    async def both():
        pieces = [piece async for piece in Extractive().astream(asked("Is it?"))]
        return (await Extractive().acomplete(asked("Is it?"))).text, pieces[0].text

    assert asyncio.run(both()) == ("Yes.", "Yes.")
    assert threading.main_thread() not in where
