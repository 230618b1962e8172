"""The way over the swarms: each batch is a task, so many are under way and no more.

Tasks embed, match, forecast, and watch the formulas that look at few samples; they are sent what
those look at. Formulas without a bound are watched here, where the samples come in order.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import numpy as np

from ansf_platform.accounts.models import Tenant
from ansf_platform.terminal import Unavailable
from coordination import lifecycle, selectors
from coordination.models import TERMINAL, Status, Task
from coordination.submission import TaskRequest, submit_many
from workers.streaming.here import Judged
from workers.streaming.plan import Plan, Watched
from workers.streaming.sources import Batch, Chunk
from workers.streaming.watching import Turn, Watchers, values_of
from workers.streaming.windows import Found

DEFINITION = "stream.window_batch"
IN_FLIGHT = 8
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.004
MAX_NUMBERS = 200_000
"""That a task is sent: some 2 MB of JSON."""
MAX_LEFT_OUT = 4_000_000
"""Numbers of batches without a task that wait for those before them: some 100 MB with the times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How tasks are submitted."""

    tenant: Tenant
    target: float
    """Seconds from sample to verdict."""
    definition: str = DEFINITION
    in_flight: int = IN_FLIGHT
    """Tasks at most; fewer while they take longer than the target."""
    priority: int | None = None
    patience: float = PATIENCE_S


@dataclass(slots=True)
class _Sent:
    batch: Batch
    task_id: UUID | None
    """None of a batch whose windows were left out, for too many tasks were under way."""
    held: int = 0
    """Numbers, of such a batch."""


class Afar:
    """Has batches judged by tasks."""

    def __init__(self, plan: Plan, watched: Sequence[Watched], terms: Terms) -> None:
        self.terms = terms
        self.watchers = Watchers(watched)
        self._travelling = [one for one in watched if one.travels]
        self._plan = replace(plan, formulas=tuple(one.text for one in self._travelling))
        self._names = {name for one in self._travelling for name in one.names}
        self._context = max((one.context or 0 for one in self._travelling), default=0)
        self._watched_names = {name for one in watched for name in one.names}
        self._behind = max((_looks_back(one) for one in watched), default=0)
        self._left_out_numbers = 0
        self._sent: deque[_Sent] = deque()
        self._ended: set[UUID] = set()
        self._heard = time.monotonic()
        self._limit = float(min(2, terms.in_flight))
        self._quickest = math.inf

    @property
    def room(self) -> bool:
        return sum(sent.task_id is not None for sent in self._sent) < int(self._limit)

    @property
    def full(self) -> bool:
        return self._left_out_numbers > MAX_LEFT_OUT

    @property
    def idle(self) -> bool:
        return not self._sent

    def offer(self, batch: Batch, spent: float) -> None:
        if not self._sent:
            self._heard = time.monotonic()
        room = self.room
        for piece in _pieces(batch):
            self._sent.append(_Sent(piece, self._submitted(piece)) if room else self._kept(piece))

    def _kept(self, batch: Batch) -> _Sent:
        """A batch without a task, with what the formulas still need of it."""
        chunks = [self._trimmed(chunk) for chunk in batch.chunks]
        held = sum(len(chunk.times) * (1 + len(chunk.signals)) for chunk in chunks)
        self._left_out_numbers += held
        return _Sent(Batch(chunks, batch.reads), None, held)

    def _trimmed(self, chunk: Chunk) -> Chunk:
        cut = max(0, len(chunk.times) - chunk.fresh - self._behind)
        # A formula of constants asks for no signal, and yet for how many samples there are.
        names = self._watched_names & chunk.signals.keys() or {next(iter(chunk.signals))}
        return replace(
            chunk,
            first=chunk.first + cut,
            signals={name: chunk.signals[name][cut:].copy() for name in names},
            starts=[start - cut for start in chunk.starts],
            times=chunk.times[cut:],
        )

    def _submitted(self, batch: Batch) -> UUID | None:
        """The task that judges a batch; None where there is nothing to ask."""
        chunks = [self._payload(chunk) for chunk in batch.chunks if self._asks(chunk)]
        if not chunks:
            return None
        request = TaskRequest(
            definition=self.terms.definition,
            payload={"plan": self._plan.as_dict(), "chunks": chunks},
            priority=self.terms.priority,
        )
        placed = submit_many([request], tenant=self.terms.tenant).submissions[0]
        assert placed is not None  # noqa: S101 - all or nothing
        return placed.task_id

    def collect(self, seconds: float) -> list[Judged]:
        if not self._sent:
            return []
        until = time.monotonic() + seconds
        while not (done := self._collected()) and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
        now = time.monotonic()
        for judged in done:
            if judged.batch.reads:
                self._settle(now - judged.batch.oldest)
        if done:
            self._heard = now
        elif now - self._heard > self.terms.patience:
            raise Unavailable(
                f"no task of {self.terms.definition} has ended for {self.terms.patience:g} s: is a "
                f"worker running? `manage.py task show {self._sent[0].task_id}` tells more"
            )
        return done

    def abandon(self) -> int:
        """Cancel what is under way."""
        windows = sum(sent.batch.windows for sent in self._sent)
        ids = [sent.task_id for sent in self._sent if sent.task_id is not None]
        self._sent.clear()
        self._left_out_numbers = 0
        if ids:
            lifecycle.cancel(self.terms.tenant.pk, ids)
        return windows

    def _settle(self, waited: float) -> None:
        """A batch waited so long: have fewer under way, or one more after as many as there are.

        Where even a task alone takes longer than the target, fewer tasks would only be fewer.
        """
        self._quickest = min(self._quickest, waited)
        bound = max(self.terms.target, 2 * self._quickest)
        if waited > bound:
            self._limit = max(1.0, self._limit * 0.8)
        elif waited < 0.75 * bound:
            self._limit = min(self.terms.in_flight, self._limit + 1 / self._limit)

    def _collected(self) -> list[Judged]:
        """The oldest batches, as far as they have ended."""
        asked = [sent.task_id for sent in self._sent if sent.task_id and not self._over(sent)]
        if asked:
            ended = Task.objects.filter(id__in=asked, status__in=TERMINAL)
            self._ended.update(ended.values_list("id", flat=True))
        done = []
        while self._sent and self._over(self._sent[0]):
            sent = self._sent.popleft()
            self._left_out_numbers -= sent.held
            done.append(self._left_out(sent) if sent.task_id is None else self._judged(sent))
        return done

    def _over(self, sent: _Sent) -> bool:
        return sent.task_id is None or sent.task_id in self._ended

    def _judged(self, sent: _Sent) -> Judged:
        assert sent.task_id is not None  # noqa: S101 - others are left out
        self._ended.discard(sent.task_id)
        task = selectors.task(self.terms.tenant, sent.task_id)
        answer = selectors.result_of(task) if task.status == Status.SUCCEEDED else None
        if not answer:
            why = f"task {task.pk} ended {task.status}: {task.reason or 'see `task show`'}"
            return self._left_out(sent, why)
        answers = zip(answer["windows"], answer["formulas"], strict=True)
        found, turns = [], []
        for chunk in sent.batch.chunks:
            windows, values = next(answers) if self._asks(chunk) else ([], {})
            found.append([Found(**one) for one in windows])
            turns.append(self._turns(chunk, values))
        return Judged(sent.batch, found, turns)

    def _left_out(self, sent: _Sent, why: str = "") -> Judged:
        """The formulas are watched here all the same."""
        chunks = sent.batch.chunks
        stages = self._plan.stages
        found = [[Found(missed=list(stages)) for _ in chunk.starts] for chunk in chunks]
        return Judged(sent.batch, found, [self._turns(chunk, {}) for chunk in chunks], why)

    def _turns(self, chunk: Chunk, values: Mapping[str, Any]) -> list[Turn]:
        found = []
        for watch in self.watchers.of(chunk):
            told = values.get(watch.watched.text)
            if told is not None:
                found += watch.turns((told[0], np.array(told[1], np.float64)))
            elif watch.watched.travels:
                found += watch.turns(values_of(watch.watched, chunk))
            else:
                found += watch.update(chunk)
        return found

    def _asks(self, chunk: Chunk) -> bool:
        """Whether a task has anything to do with a chunk."""
        return bool(chunk.starts or self._names & chunk.signals.keys())

    def _payload(self, chunk: Chunk) -> dict[str, Any]:
        """What a task is told of a chunk: the signals and samples that it looks at."""
        names = self._names | ({chunk.window} if chunk.starts else set())
        needed = max(self._context, self._plan.length - 1 if chunk.starts else 0)
        cut = max(0, len(chunk.times) - chunk.fresh - needed)
        return {
            "first": chunk.first + cut,
            "fresh": chunk.fresh,
            "signals": {
                name: values[cut:].tolist()
                for name, values in chunk.signals.items()
                if name in names
            },
            "window": chunk.window,
            "starts": [start - cut for start in chunk.starts],
        }


def _looks_back(watched: Watched) -> int:
    """Samples before new ones that are needed to watch them, or to tell when something was."""
    return (watched.context or 0) if watched.travels else watched.reach


def _pieces(batch: Batch) -> Iterator[Batch]:
    """Batches that a task can carry; the last one tells when the samples were read."""
    chunks: list[Chunk] = []
    numbers = 0
    for chunk in batch.chunks:
        size = sum(values.size for values in chunk.signals.values())
        if chunks and numbers + size > MAX_NUMBERS:
            yield Batch(chunks)
            chunks, numbers = [], 0
        chunks.append(chunk)
        numbers += size
    yield Batch(chunks, batch.reads)
