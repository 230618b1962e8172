"""Publishing envelopes: one channel, confirms pipelined, nothing waits for ever.

A publisher is fed by the dispatcher through a bounded queue and runs in a thread of its own, so
that a blocked broker cannot hold up lease renewals. What the broker refused, returned or did
not confirm in time is reported back; the dispatcher returns those tasks to ``ready``.

RabbitMQ: ``basic.publish`` with ``mandatory`` on a confirming channel, one wait per batch.
Valkey: one pipelined batch; there are no confirms, the claim deadline stands in for them.
"""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from celery import Celery
from kombu import Connection, Producer

from ansf_platform.celery import ENVELOPE_TASK, POOLS, Profile

logger = logging.getLogger(__name__)

CONFIRM_SECONDS = 5.0
RECONNECT_SECONDS = 1.0
# Tasks not claimed within a minute are taken back: a copy that lies about longer is worthless,
# and without an end such copies would pile up while nobody consumes.
EXPIRATION_MS = "120000"
QUEUE_LIMIT = 64  # batches between dispatcher and publisher


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message: (task, fence) pairs of one definition, for one pool."""

    id: UUID
    pool: str
    priority: int
    definition_id: int
    handler: str
    time_limit: float
    members: tuple[tuple[UUID, int], ...]


@dataclass(slots=True)
class Publisher:
    """The only sender of envelopes of a coordinator."""

    app: Celery
    profile: Profile
    _batches: queue.Queue[Sequence[Envelope]] = field(
        default_factory=lambda: queue.Queue(QUEUE_LIMIT)
    )
    _refused: queue.SimpleQueue[UUID] = field(default_factory=queue.SimpleQueue)
    _connected: threading.Event = field(default_factory=threading.Event)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect in the background and stay connected."""
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Send what was accepted, then stop."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    @property
    def ready(self) -> bool:
        """Whether it makes sense to hand over envelopes."""
        return self._connected.is_set() and not self._batches.full()

    def wait_ready(self, timeout: float) -> bool:
        """Wait for the first connection."""
        return self._connected.wait(timeout)

    def accept(self, envelopes: Sequence[Envelope]) -> None:
        """Take over envelopes whose tasks are marked as dispatched."""
        try:
            self._batches.put_nowait(envelopes)
        except queue.Full:
            self._refuse(envelopes)

    def refused(self) -> list[UUID]:
        """Envelopes that the broker did not take, since the last call."""
        found = []
        while True:
            try:
                found.append(self._refused.get_nowait())
            except queue.Empty:
                return found

    def _refuse(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            self._refused.put(envelope.id)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self.app.connection_for_write() as connection:
                    self._serve(connection)
            except Exception as error:  # noqa: BLE001 - whatever a transport raises, reconnect
                logger.warning("publisher: no broker (%s), trying again", error)
            self._connected.clear()
            self._drain_unsent()
            self._stopping.wait(RECONNECT_SECONDS)

    def _drain_unsent(self) -> None:
        while True:
            try:
                self._refuse(self._batches.get_nowait())
            except queue.Empty:
                return

    def _serve(self, connection: Connection) -> None:
        connection.ensure_connection(max_retries=1, timeout=int(CONFIRM_SECONDS))
        sender = make_sender(self.app, self.profile, connection)
        self._connected.set()
        while not (self._stopping.is_set() and self._batches.empty()):
            try:
                batch = self._batches.get(timeout=1.0)
            except queue.Empty:
                sender.keep_alive()
                continue
            gathered = self._gather(batch)
            try:
                self._refuse(sender.send(gathered))
            except Exception:
                self._refuse(gathered)
                raise

    def _gather(self, batch: Sequence[Envelope]) -> list[Envelope]:
        """Everything accepted by now goes into one round of confirms."""
        gathered = list(batch)
        while True:
            try:
                gathered.extend(self._batches.get_nowait())
            except queue.Empty:
                return gathered


class Sender(Protocol):
    """Hands envelopes to a transport in one batch."""

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Publish; the envelopes that were not taken."""

    def keep_alive(self) -> None:
        """Answer heartbeats while there is nothing to send."""


def make_sender(app: Celery, profile: Profile, connection: Connection) -> Sender:
    """The sender for a transport, its queues declared."""
    channel = connection.default_channel
    for pool in POOLS:
        profile.queue(pool)(channel).declare()
    kind = ConfirmingSender if profile.confirms else BatchSender
    return kind(app, profile, connection)


def message_for(app: Celery, envelope: Envelope) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Headers, properties and body of an envelope, as Celery's protocol 2 has them."""
    message = app.amqp.as_task_v2(
        envelope.id.hex,
        ENVELOPE_TASK,
        kwargs={
            "definition": envelope.definition_id,
            "members": [[task.hex, fence] for task, fence in envelope.members],
        },
        time_limit=math.ceil(envelope.time_limit),
        shadow=envelope.handler,
        ignore_result=True,
        argsrepr="()",  # spelt out they would cost more than all the rest
        kwargsrepr=f"({len(envelope.members)} tasks)",
    )
    # Empty headers cost a fifth of a publish, and mean the same when they are left out.
    headers = {name: value for name, value in message.headers.items() if value is not None}
    return headers, message.properties, message.body


class BatchSender:
    """For transports without confirms (Valkey): kombu's batch, one round trip."""

    def __init__(self, app: Celery, profile: Profile, connection: Connection) -> None:
        self.app = app
        self.profile = profile
        self.producer: Any = Producer(
            connection.default_channel, serializer="json", auto_declare=False
        )

    def keep_alive(self) -> None:
        """Nothing to do: such a server drops nobody for being silent."""

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Publish them all in one pipeline."""
        with self.producer.batch():
            for envelope in envelopes:
                headers, properties, body = message_for(self.app, envelope)
                self.producer.publish(
                    body,
                    exchange="",
                    routing_key=self.profile.queue_name(envelope.pool),
                    priority=self.profile.priority(envelope.priority),
                    headers=headers,
                    retry=False,
                    **properties,
                )
        return []


class ConfirmingSender:
    """For RabbitMQ: a confirming channel, mandatory routing, one wait for the whole batch."""

    def __init__(self, app: Celery, profile: Profile, connection: Connection) -> None:
        self.app = app
        self.profile = profile
        self.connection = connection
        channel: Any = connection.default_channel  # py-amqp's: kombu's types do not know it
        self.channel = channel
        self.channel.confirm_select()
        self.channel.events["basic_ack"].add(self._on_ack)
        self.channel.events["basic_nack"].add(self._on_nack)
        self.channel.events["basic_return"].add(self._on_return)
        self._tag = 0
        self._unconfirmed: dict[int, Envelope] = {}
        self._rejected: dict[str, Envelope] = {}
        self._sent: dict[str, Envelope] = {}

    def keep_alive(self) -> None:
        """Send and check heartbeats; raises when the server is gone."""
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=0.001)
        self.connection.heartbeat_check()

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Publish all, then wait for all confirms; what was nacked, returned or unconfirmed.

        Raises what the transport raises when the connection is lost: then nothing is known.
        """
        self._rejected.clear()
        self._sent = {envelope.id.hex: envelope for envelope in envelopes}
        for envelope in envelopes:
            self._publish(envelope)
        give_up = time.monotonic() + CONFIRM_SECONDS
        while self._unconfirmed:
            left = give_up - time.monotonic()
            if left <= 0:
                unconfirmed = len(self._unconfirmed)
                raise TimeoutError(f"{unconfirmed} publishes unconfirmed in {CONFIRM_SECONDS} s")
            self.connection.drain_events(timeout=left)
        return list(self._rejected.values())

    def _publish(self, envelope: Envelope) -> None:
        headers, properties, body = message_for(self.app, envelope)
        message = self.channel.prepare_message(
            json.dumps(body),
            priority=self.profile.priority(envelope.priority),
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
            properties={**properties, "delivery_mode": 2, "expiration": EXPIRATION_MS},
        )
        self._tag += 1
        self._unconfirmed[self._tag] = envelope
        # The method without confirm-and-wait: kombu offers only one round trip per message.
        self.channel._basic_publish(  # noqa: SLF001
            message,
            exchange="",
            routing_key=self.profile.queue_name(envelope.pool),
            mandatory=True,
        )

    def _settle(self, tag: int, multiple: bool) -> list[Envelope]:  # noqa: FBT001 - AMQP's order
        tags = [known for known in self._unconfirmed if known <= tag] if multiple else [tag]
        return [self._unconfirmed.pop(known) for known in tags if known in self._unconfirmed]

    def _on_ack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001
        self._settle(tag, multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001
        for envelope in self._settle(tag, multiple):
            self._rejected[envelope.id.hex] = envelope

    def _on_return(self, error: Exception, _exchange: str, key: str, message: Any) -> None:
        identifier = message.properties.get("correlation_id", "")
        logger.error("publisher: returned from %s: %s", key, error)
        if identifier in self._sent:
            self._rejected[identifier] = self._sent[identifier]
