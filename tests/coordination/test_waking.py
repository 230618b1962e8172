"""What hurries the next cycle: whatever may start something, and room only where it is short."""

from __future__ import annotations

import threading
import time

import pytest

from ansf_platform.celery import MEMORY
from coordination import sql
from coordination.coordinator import SOON_SECONDS, Coordinator
from coordination.lifecycle import working
from tests.coordination.steps import ready, retry, succeed

LONG_SECONDS = 30.0


@pytest.fixture
def coordinator():
    return Coordinator(MEMORY)


def waited(coordinator, seconds):
    begun = time.monotonic()
    coordinator._await_word(seconds)
    return time.monotonic() - begun


def test_an_end_hurries_no_cycle_that_comes_soon(coordinator):
    coordinator._hear(sql.ONLY_ENDED)

    assert waited(coordinator, SOON_SECONDS) >= SOON_SECONDS * 0.9


def test_an_end_that_was_told_during_a_cycle_hurries_one_that_would_come_late(coordinator):
    coordinator._hear(sql.ONLY_ENDED)

    assert waited(coordinator, LONG_SECONDS) < LONG_SECONDS / 2


@pytest.mark.parametrize(
    ("told", "seconds"), [("", SOON_SECONDS), ("", LONG_SECONDS), (sql.ONLY_ENDED, LONG_SECONDS)]
)
def test_word_of_new_work_ends_every_wait_and_that_of_room_a_long_one(coordinator, told, seconds):
    waiting = threading.Thread(target=coordinator._await_word, args=(seconds,))
    waiting.start()
    while waiting.is_alive() and not (coordinator._hurries or seconds < LONG_SECONDS):
        pass

    coordinator._hear(told)
    waiting.join(LONG_SECONDS / 2)

    assert not waiting.is_alive()
    assert coordinator._wake.is_set()


@pytest.mark.parametrize(
    ("options", "end", "told"),
    [
        ({}, succeed, sql.ONLY_ENDED),
        ({"key": "one"}, succeed, sql.ONLY_ENDED),
        ({"lane": "l"}, succeed, ""),
        ({}, retry, ""),
    ],
    ids=["alone", "with a key", "in a lane", "tried again"],
)
def test_a_result_says_whether_it_lets_something_start(definition, monkeypatch, options, end, told):
    task = ready(**options)
    heard = []
    monkeypatch.setattr(working.sql, "notify", lambda told="": heard.append(told))

    end(task)

    assert heard == [told]
