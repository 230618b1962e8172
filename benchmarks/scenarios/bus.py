"""How many single messages per second the envelope publisher gets confirmed by RabbitMQ."""

from __future__ import annotations

import time
import uuid

from ansf_platform.celery import CLASSIC, make_app, use_profile
from ansf_platform.services.rabbitmq import RabbitMQ
from benchmarks.figures import Findings, median
from coordination.publish import Envelope, Sender, make_sender

MESSAGES = 20_000
ROUNDS = 5
BATCH = 1_000  # messages between two waits for confirms


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Publish envelopes of one task each, every one confirmed, to a durable queue."""
    count = tasks or MESSAGES
    findings = Findings("bus", "manage.py bench bus --json")
    with RabbitMQ() as broker:
        findings.servers["rabbitmq"] = broker.version()
        app = make_app(broker.url)
        use_profile(app, CLASSIC)
        with app.connection_for_write() as connection:
            sender = make_sender(app, CLASSIC, connection)
            _round(sender, BATCH)
            rates = []
            for _ in range(rounds or ROUNDS):
                rates.append(count / _round(sender, count))
                CLASSIC.queue("cpu")(connection.default_channel).purge()
    note = f"persistent, mandatory, confirmed; {count} messages a round, {BATCH} in flight"
    findings.add("messages_per_s", median(rates, "1/s", note))
    return findings


def _round(sender: Sender, count: int) -> float:
    envelopes = [
        Envelope(uuid.uuid4(), "cpu", 5, 1, "bench.noop", 10.0, ((uuid.uuid4(), 1),))
        for _ in range(count)
    ]
    begun = time.perf_counter()
    for start in range(0, count, BATCH):
        refused = sender.send(envelopes[start : start + BATCH])
        if refused:
            raise RuntimeError(f"the broker refused {len(refused)} messages")
    return time.perf_counter() - begun
