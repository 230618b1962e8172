"""PostgreSQL stopped under running tasks, and every server killed in turn."""

from __future__ import annotations

import time

import pytest

from coordination.models import Attempt
from tests.faults.system import reconnect

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.postgres, pytest.mark.rabbitmq]

OUTAGE_S = 20.0
RUN_S = 60.0
SOME = 20


@pytest.mark.timeout(300)
def test_a_stopped_database_repeats_and_charges_nothing(full, verdict):
    full.lead()
    full.worker("io", 2 * SOME)
    full.worker("cpu", 2)
    ledger = full.ledger()
    long = [
        task
        for handler in ("bench.effect", "bench.result")
        for task in full.submit(
            full.definition(handler, pool="io"), [{"seconds": RUN_S}] * (SOME // 2)
        )
    ]
    full.wait_for_starts(long)
    # These end while nothing can be recorded, and would be past their limit when it can.
    short = [
        task
        for handler in ("bench.effect", "bench.result")
        for task in full.submit(
            full.definition(handler, time_limit_seconds=5.0), [{"seconds": 2.0}]
        )
    ]
    full.wait_for_starts(short)
    full.stack.postgres.stop()
    time.sleep(OUTAGE_S)
    full.stack.postgres.start()
    back_at = time.monotonic()
    reconnect()
    full.wait(lambda: full.ended(short) == len(short), "the waiting results")
    recovery = time.monotonic() - back_at
    tasks = long + short
    full.drain(tasks, 2 * RUN_S)
    found = verdict(
        ledger.judge(
            "database stopped 20 s",
            tasks,
            recovery=recovery,
            recovered_by="database back to results recorded",
        )
    )
    assert (found.lost, found.duplicate_effects) == (0, 0)
    assert (found.re_executed, found.charged, found.fenced) == (0, 0, 0)
    assert Attempt.objects.filter(task_id__in=tasks).count() == len(tasks)


@pytest.mark.timeout(240)
def test_killed_servers_are_survived_without_an_operator(full, verdict):
    started = [full.lead(), full.worker("cpu", 2), full.worker("io", 4)]
    names = [full.definition("bench.effect", pool=pool) for pool in ("cpu", "io")]
    for server in (full.stack.postgres, full.stack.broker, full.stack.valkey):
        ledger = full.ledger()
        before = [task for name in names for task in full.submit(name, [{}] * SOME)]
        server.kill()
        server.start()
        back_at = time.monotonic()
        reconnect()
        after = [task for name in names for task in full.submit(name, [{}] * SOME)]
        full.drain(before + after)
        found = verdict(
            ledger.judge(
                f"{server.name} killed and started",
                before + after,
                recovery=time.monotonic() - back_at,
                recovered_by="server back to all ended",
            )
        )
        assert (found.lost, found.duplicate_effects, found.charged) == (0, 0, 0)
        assert all(process.alive for process in started)
