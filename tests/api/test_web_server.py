"""What stands between the server and Django: bodies first, then a thread, or a clear no."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from asgiref.sync import sync_to_async

from ansf_platform import body_limit, web_threads
from ansf_platform.body_limit import BodyLimit
from ansf_platform.web_threads import WebThreads

SCOPE = {"type": "http", "path": "/api/v1/tasks", "raw_path": b"/api/v1/tasks", "headers": []}


def talk(application, *messages, scope=SCOPE):
    """Send messages to an ASGI application; what it answered as (status, body)."""

    async def run():
        left, sent = list(messages), []

        async def receive():
            return left.pop(0) if left else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        await asyncio.wait_for(application(scope, receive, send), 20)
        body = b"".join(message.get("body", b"") for message in sent)
        return (sent[0]["status"] if sent else None), body

    return asyncio.run(run())


async def echo(_scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def block(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("size", [0, 1, body_limit.CHUNK, body_limit.CHUNK * 3 + 1])
def test_a_body_is_passed_on_as_it_came(size):
    body = bytes(index % 251 for index in range(size))

    assert talk(BodyLimit(echo), block(body[:100], more=True), block(body[100:])) == (200, body)


def test_a_body_is_passed_on_only_when_it_is_complete():
    called = []

    async def application(scope, receive, send):
        called.append(scope)

    talk(BodyLimit(application), block(b"a", more=True), {"type": "http.disconnect"})

    assert called == []


def test_an_announced_size_beyond_the_limit_is_413_and_read_on(monkeypatch):
    monkeypatch.setattr(body_limit, "LIMIT", 10)
    scope = {**SCOPE, "headers": [(b"content-length", b"11")]}

    status, body = talk(BodyLimit(echo), block(b"x" * 8, more=True), block(b"xxx"), scope=scope)

    assert status == 413
    assert json.loads(body)["instance"] == "/api/v1/tasks"


def test_a_size_that_was_not_announced_is_413_when_it_is_found(monkeypatch):
    monkeypatch.setattr(body_limit, "LIMIT", 10)

    status, _ = talk(BodyLimit(echo), block(b"x" * 11, more=True), block(b"x"))
    assert status == 413


def test_a_body_that_does_not_end_is_408(monkeypatch):
    monkeypatch.setattr(body_limit, "PATIENCE", 0.05)

    status, body = talk(BodyLimit(echo), block(b"x", more=True))
    assert (status, json.loads(body)["status"]) == (408, 408)


def test_no_more_requests_run_at_once_than_there_are_threads():
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(10)
        with lock:
            running -= 1
        return threading.get_ident()

    seen = set()

    async def application(_scope, _receive, _send):
        seen.add(await sync_to_async(work)())

    async def run():
        served = WebThreads(application, threads=2)
        async with asyncio.timeout(20):
            await asyncio.gather(*(served(SCOPE, None, None) for _ in range(10)))

    asyncio.run(run())

    assert (most, len(seen)) == (2, 2)


def test_who_finds_no_thread_is_told_to_come_back(monkeypatch):
    monkeypatch.setattr(web_threads, "PATIENCE", 0.05)
    release = asyncio.Event()

    async def application(_scope, _receive, _send):
        await release.wait()

    answers = []

    async def send(message):
        answers.append(message)

    async def run():
        served = WebThreads(application, threads=1)
        first = asyncio.create_task(served(SCOPE, None, None))
        await asyncio.sleep(0)
        await served(SCOPE, None, send)
        release.set()
        await first
        await served(SCOPE, None, send)  # its thread came back

    asyncio.run(run())

    assert answers[0]["status"] == 503
    assert (b"retry-after", b"2") in answers[0]["headers"]
    assert len(answers) == 2


def test_a_thread_comes_back_when_the_application_fails():
    async def application(_scope, _receive, _send):
        raise RuntimeError

    async def run():
        served = WebThreads(application, threads=1)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                await served(SCOPE, None, None)

    asyncio.run(run())


def test_a_stream_takes_no_thread_from_the_others():
    release = asyncio.Event()

    async def application(scope, _receive, _send):
        if scope["path"] in web_threads.STREAMS:
            await release.wait()

    async def run():
        served = WebThreads(application, threads=1)
        streams = [
            asyncio.create_task(served({**SCOPE, "path": "/feed"}, None, None)) for _ in range(5)
        ]
        async with asyncio.timeout(10):
            await served(SCOPE, None, None)
        release.set()
        await asyncio.gather(*streams)

    asyncio.run(run())
