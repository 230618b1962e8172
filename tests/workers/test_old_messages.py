"""Messages that are worked on for long are acknowledged before the broker closes their channel."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import pytest

from ansf_platform.celery import ENVELOPE_TASK, app
from workers import claims
from workers.claims import EnvelopeRequest, held
from workers.tasks import envelope


@pytest.fixture
def acked():
    return []


@pytest.fixture
def request_of(acked):
    made = []

    def receive():
        headers = {"id": uuid4().hex, "task": ENVELOPE_TASK, "lang": "py"}
        message = SimpleNamespace(
            headers=headers,
            body=((), {}, {}),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_info={},
            properties={},
        )
        request = EnvelopeRequest(
            message, app=app, task=envelope, decoded=True, body=message.body,
            on_ack=lambda *_: acked.append(headers["id"]),
        )  # fmt: skip
        made.append(request)
        return request

    yield receive
    for request in made:
        held.drop(request.claim)


def test_an_old_message_is_acknowledged_once_and_its_claim_kept(request_of, acked):
    old, young = request_of(), request_of()
    old.received_at -= claims.EARLY_ACK_SECONDS + 1

    held.acknowledge_old()
    held.acknowledge_old()
    assert acked == [old.id]
    assert {old.claim, young.claim} <= set(held.claims())

    old.acknowledge()
    assert acked == [old.id]
    assert old.claim not in held.claims()
