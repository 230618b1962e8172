"""Threads lent to requests: what is answered beside them must not reach for one given back."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async

from ansf_platform.web_threads import WebThreads


@pytest.mark.parametrize("path", ["/feed", "/"])
def test_a_kept_connection_is_answered_after_its_last_thread_was_given_back(path):
    told = []

    async def application(scope, receive, send):
        told.append(await sync_to_async(str)(scope["path"]))
        if scope["path"] == "/first":
            # as asyncio does for a connection whose reading it resumes within a request
            later.append(loop.create_task(next_request()))

    async def next_request():
        await given_back.wait()
        await threads({"type": "http", "path": path}, None, None)

    async def serve():
        nonlocal loop
        loop = asyncio.get_running_loop()
        await threads({"type": "http", "path": "/first"}, None, None)
        given_back.set()
        await asyncio.wait_for(later[0], 5)

    loop, later, given_back, threads = None, [], asyncio.Event(), WebThreads(application, 1)

    asyncio.run(serve())

    assert told == ["/first", path]
