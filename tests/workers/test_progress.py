"""`self.update_state` of a handler becomes the progress of its attempt."""

from __future__ import annotations

import math

import pytest
from celery import states

from ansf_platform.celery import app
from workers.backend import ProgressBackend
from workers.context import Context, Entered
from workers.journal import Journal


@pytest.fixture
def told():
    """What the journal holds after a state was stored."""

    def store(state, meta):
        context = Context(None, 1, 1, None, math.inf, Journal(None))
        with Entered(context):
            ProgressBackend(app).store_result("id", meta, state)
        return context.journal.progress, context.journal.note

    return store


@pytest.mark.parametrize(
    ("meta", "progress"),
    [
        ({"current": 1, "total": 4}, 0.25),
        ({"progress": 0.5}, 0.5),
        ({"progress": 7}, 1.0),
        ({"current": -1, "total": 4}, 0.0),
        ({"current": 1, "total": 0}, None),
        ({"total": 4}, None),
        ({"progress": "half"}, None),
        ({}, None),
        ("text", None),
        (None, None),
    ],
)
def test_progress_is_read_from_what_handlers_write(told, meta, progress):
    assert told("PROGRESS", meta) == (progress, "PROGRESS")


def test_a_note_stands_behind_the_states_name(told):
    assert told("LOADING", {"note": "rows", "progress": 1}) == (1.0, "LOADING rows")


@pytest.mark.parametrize("state", sorted(states.READY_STATES))
def test_celerys_own_final_states_say_nothing(told, state):
    assert told(state, {"progress": 1}) == (None, "")


def test_outside_a_task_nothing_is_stored():
    ProgressBackend(app).store_result("id", {"progress": 1}, "PROGRESS")

    assert ProgressBackend(app).as_uri() is not None
