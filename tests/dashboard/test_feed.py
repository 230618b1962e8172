"""The feed: pokes that coalesce, pings, bounds, and ends."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest
from django.contrib.auth.models import User
from django.test import AsyncRequestFactory

from dashboard import views
from dashboard.feed import CHANGED, HELLO, LONGEST_GAP_SECONDS, PING, Feed

DEADLINE_S = 10.0
NEVER_S = 60.0


class Hand:
    """A reader that notices what a test tells it to."""

    def __init__(self, on_change):
        self.on_change = on_change
        self.running = False

    def start(self):
        self.running = True

    def stop(self):
        self.running = False


class Hands:
    """Makes readers and remembers them."""

    def __init__(self):
        self.made = []

    def __call__(self, on_change):
        self.made.append(Hand(on_change))
        return self.made[-1]


@pytest.fixture
def hands():
    return Hands()


def run(scenario):
    async def bounded():
        async with asyncio.timeout(DEADLINE_S):
            await scenario()

    asyncio.run(bounded())


def test_a_new_client_is_told_to_look_and_then_of_each_change(hands):
    feed = Feed(hands, gap_s=0.0, ping_s=NEVER_S)

    async def scenario():
        async with aclosing(feed.stream()) as stream:
            assert await anext(stream) == HELLO
            for _ in range(3):
                hands.made[0].on_change()
                assert await anext(stream) == CHANGED

    run(scenario)


def test_a_change_in_another_thread_is_heard(hands):
    feed = Feed(hands, gap_s=0.0, ping_s=NEVER_S)

    async def scenario():
        async with aclosing(feed.stream()) as stream:
            await anext(stream)
            thread = threading.Thread(target=hands.made[0].on_change)
            thread.start()
            assert await anext(stream) == CHANGED
            thread.join()

    run(scenario)


def test_a_burst_is_one_poke(hands):
    feed = Feed(hands, gap_s=0.0, ping_s=0.05)

    async def scenario():
        async with aclosing(feed.stream()) as stream:
            await anext(stream)
            for _ in range(1_000):
                hands.made[0].on_change()
            assert await anext(stream) == CHANGED
            assert await anext(stream) == PING

    run(scenario)


def test_silence_is_broken_by_pings(hands):
    async def scenario():
        async with aclosing(Feed(hands, gap_s=0.0, ping_s=0.01).stream()) as stream:
            assert [await anext(stream) for _ in range(3)] == [HELLO, PING, PING]

    run(scenario)


def test_a_process_that_stops_ends_its_streams_even_while_they_are_held_back(hands):
    feed = Feed(hands, gap_s=LONGEST_GAP_SECONDS, ping_s=NEVER_S)

    async def scenario():
        streams = [feed.stream(), feed.stream()]
        assert [await anext(stream) for stream in streams] == [HELLO, HELLO]
        feed.end()
        for stream in streams:
            assert [event async for event in stream] == []
        assert feed.clients == 0

    run(scenario)


def test_there_is_one_reader_and_only_while_somebody_listens(hands):
    feed = Feed(hands, ping_s=NEVER_S)

    async def scenario():
        assert hands.made == []
        async with aclosing(feed.stream()) as first, aclosing(feed.stream()) as second:
            await anext(first)
            await anext(second)
            assert [hand.running for hand in hands.made] == [True]
        assert [hand.running for hand in hands.made] == [False]
        async with aclosing(feed.stream()) as third:
            await anext(third)
            assert [hand.running for hand in hands.made] == [False, True]

    run(scenario)


def test_a_client_that_leaves_in_the_middle_of_a_wait_is_forgotten(hands):
    feed = Feed(hands, gap_s=0.0, ping_s=NEVER_S)

    async def listen(greeted):
        async for _ in feed.stream():
            greeted.set()

    async def scenario():
        greeted = asyncio.Event()
        task = asyncio.create_task(listen(greeted))
        await greeted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert feed.clients == 0
        assert not hands.made[0].running

    run(scenario)


def test_one_client_too_many_is_told_nothing(hands):
    feed = Feed(hands, max_clients=1, ping_s=NEVER_S)

    async def scenario():
        async with aclosing(feed.stream()) as first:
            await anext(first)
            assert feed.full
            assert [event async for event in feed.stream()] == []
            assert feed.clients == 1

    run(scenario)


def test_a_poke_to_a_loop_that_has_ended_harms_nobody(hands):
    feed = Feed(hands, ping_s=NEVER_S)
    stream = feed.stream()

    async def scenario():
        await anext(stream)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(scenario())
    loop.close()
    feed.poke()
    feed.end()


def test_a_board_that_is_slow_to_read_is_read_less_often():
    feed = Feed(Hands(), gap_s=0.5)
    for _ in range(50):
        feed.note_pull(0.01)
    assert feed.gap_s == 0.5
    for _ in range(50):
        feed.note_pull(0.2)
    assert feed.gap_s == pytest.approx(2.0, rel=0.01)
    for _ in range(50):
        feed.note_pull(60.0)
    assert feed.gap_s == LONGEST_GAP_SECONDS


@pytest.fixture
def ask(tenant):
    """Ask for the feed as an ASGI server does; the answer."""
    boss = User.objects.create_user("boss", is_superuser=True)

    def get():
        request = AsyncRequestFactory().get("/feed")
        request.user = boss
        return views.feed(request)

    return get


def test_the_answer_is_a_stream_that_no_proxy_holds_back(ask):
    answer = ask()
    assert answer.streaming
    assert answer.is_async
    assert answer["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer["X-Accel-Buffering"] == "no"
    assert answer["Content-Encoding"] == "identity"
    assert answer["Cache-Control"] == "no-store, private"


def test_a_full_process_sends_pages_back_to_polling(ask, monkeypatch):
    monkeypatch.setattr(views, "FEED", Feed(Hands(), max_clients=0))
    answer = ask()
    assert (answer.status_code, answer["Retry-After"], answer.content) == (503, "30", b"")


def test_a_server_that_cannot_stream_says_so_instead_of_hanging(desk, tenant):
    answer = desk.get("/feed")
    assert answer.status_code == 501
    assert b"ASGI" in answer.content
