"""Valkey emptied and killed under the embedded default."""

from __future__ import annotations

import time

import pytest
import redis

from coordination.models import Status

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.valkey]

TASKS = 500


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", ["flushed", "killed"])
def test_an_emptied_broker_loses_nothing(embedded, verdict, fault):
    embedded.lead()
    embedded.worker("cpu", 2)
    ledger, gate = embedded.ledger(), embedded.gate()
    name = embedded.definition("bench.effect")
    held = embedded.submit(name, [{"gate": str(gate)}] * 2)
    embedded.wait_for_starts(held)
    waiting = embedded.submit(name, [{}] * TASKS)
    embedded.wait(
        lambda: embedded.in_status(waiting, Status.DISPATCHED) == TASKS, "500 to be dispatched"
    )
    broken_at = time.time()
    empty(embedded.stack.valkey, fault)
    gate.touch()
    tasks = held + waiting
    embedded.drain(tasks, 120.0)
    found = verdict(
        ledger.judge(
            f"embedded broker {fault}",
            tasks,
            recovery=embedded.seconds_until_restart(waiting, broken_at),
            recovered_by="fault to the last waiting task's start",
        )
    )
    assert (found.lost, found.duplicate_effects, found.charged) == (0, 0, 0)


def empty(valkey, fault) -> None:
    """Take every message away."""
    if fault == "killed":
        valkey.kill()
        valkey.start()
        return
    client = redis.Redis.from_url(valkey.url)
    try:
        client.flushall()
    finally:
        client.close()
