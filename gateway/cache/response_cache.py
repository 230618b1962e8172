"""The cache that the gateway asks: find an answer, keep one.

::

    found = cache.find(request, policy)
    if found.answer is None and found.ticket is not None:
        …perhaps an identical call is under way: `cache.join(ticket)`, `cache.flights`…
        …call a model…
        cache.keep(ticket, answer, policy)  # or cache.release(ticket) if there is none

:mod:`gateway.pipe.looking` does all of it for a call.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from gateway.cache import entries, invalidation, misses
from gateway.cache.coalescing import Flight, Flights
from gateway.cache.connection import Away, Connection
from gateway.cache.decision import Verdict
from gateway.cache.encoding import Unencodable
from gateway.cache.index import packed
from gateway.cache.journal import HEAD, TOLD_AT_ONCE, Journal
from gateway.cache.lookup import Lookup, Place, Stored, Ticket, place_of
from gateway.cache.policy import CachePolicy
from gateway.cache.scope import Unscoped
from gateway.cache.scripts import FIND
from gateway.cache.similar import Similar
from gateway.embedder import Embedder, ModelMissing, Vectors
from gateway.request import Answer, HitLevel, Request
from ratelimit.scripts import Command

logger = logging.getLogger(__name__)

PREFIX = "ansf:cache"
_LEAST_COST = 1_000
_COST_OF_A_TOKEN = 10
"""Nano-dollars, where a provider takes nothing: its time is worth something too."""


class ResponseCache:
    """One process's cache. Threads share it; no error of Redis reaches a caller."""

    def __init__(self, connection: Connection, embedder: Embedder, *, prefix: str = PREFIX) -> None:
        self.connection = connection
        self.embedder = embedder
        self.prefix = prefix
        self.flights = Flights(connection)
        self.journal = Journal(connection)
        self.similar = Similar(connection, self.journal)

    # --- finding ----------------------------------------------------------------------------
    def find(self, request: Request, policy: CachePolicy, *, note: bool = True) -> Lookup:
        """An answer that may be given again, or the ticket to keep one with.

        Without `note` a miss is counted when it is joined with its note.
        """
        if not policy.enabled:
            return Lookup(why="disabled")
        try:
            place = self.place(request, policy)
            found = self._find(request, place, policy)
            if note and found.note is not None:
                self.connection.ask_many([found.note])
                found = replace(found, note=None)
        except (Unscoped, Unencodable) as error:
            return Lookup(why=str(error))
        except Away as error:
            return Lookup(why=str(error))
        return found

    def place(self, request: Request, policy: CachePolicy) -> Place:
        """Where the answers to a request belong. Raises Unscoped and Unencodable."""
        return place_of(request, policy, self.embedder.name, self.prefix)

    def _find(self, request: Request, place: Place, policy: CachePolicy) -> Lookup:
        reply, answer = self._first(place, "shadow" if policy.shadow else "serve")
        if answer is not None:
            return Lookup(answer=answer)
        ticket = Ticket(request, place, int(reply[1]), reply[2])
        would_be, verdict = reply[4].decode(), None
        if place.similar and reply[3] and not would_be:
            ticket = replace(ticket, vector=self.embed(request.question))
            verdict, answer = self._similar(ticket, policy)
            if answer is not None:
                return Lookup(answer=answer, verdict=verdict)
            would_be = "similar" if verdict is not None and verdict.serves else ""
        would_be = would_be if policy.shadow else ""
        note = misses.noting(ticket, verdict, would_be)
        return Lookup(None, ticket, "", verdict, would_be, note)

    def _first(self, place: Place, mode: str) -> tuple[list[Any], Answer | None]:
        """A hit of the first two levels, past what cannot be read; or the reply of a miss."""
        reply, level = self.first_levels(place, mode)
        for again in (mode, "peek"):
            if level is None:
                break
            answer = self._unpacked(place, reply, level)
            if answer is not None:
                return reply, answer
            reply, level = self.first_levels(place, again, unreadable=level)
        return reply, None

    def first_levels(
        self, place: Place, mode: str, unreadable: HitLevel | None = None
    ) -> tuple[list[Any], HitLevel | None]:
        """The reply of `find.lua` and the level that it hit; what is new is followed.

        After a hit that was `unreadable` the same lookup goes on. Raises Away.
        """
        asked = (place.partition, place.scope)
        since = self.journal.known(asked)
        reply = self.connection.ask(
            FIND,
            place.partition,
            place.scope,
            place.exact,
            place.normalised,
            since if place.similar else "",
            mode,
            TOLD_AT_ONCE,
            unreadable or "",
        )
        if reply[0] != b"miss":
            return reply, HitLevel(reply[0].decode())
        if place.similar:
            self.journal.follow(asked, reply[2], reply[3], since, reply[HEAD:])
        return reply, None

    def _similar(self, ticket: Ticket, policy: CachePolicy) -> tuple[Verdict | None, Answer | None]:
        place, question = ticket.place, ticket.request.question
        if ticket.vector is None:
            return None, None
        verdict = self.similar.best(place, question, ticket.vector, policy.threshold)
        if verdict is None or not verdict.serves or policy.shadow:
            return verdict, None
        try:
            return verdict, self.similar.serve(place, question, verdict)
        except entries.Unreadable:
            self._drop(place, verdict.candidate.entry)
            return verdict, None

    def _unpacked(self, place: Place, reply: list[Any], level: HitLevel) -> Answer | None:
        """The answer of a reply; None for one that cannot be read, which is removed."""
        entry = reply[1].decode()
        try:
            return entries.unpack(reply[3], level, entry, int(reply[2]))
        except entries.Unreadable:
            self._drop(place, entry)
            return None

    def _drop(self, place: Place, entry: str) -> None:
        logger.warning("an entry of the cache is removed: it cannot be read")
        with suppress(invalidation.Unknown):
            invalidation.invalidate_entry(self.connection, place.partition, entry)

    def embed(self, question: str) -> Vectors | None:
        """The vector of a question; None without the model."""
        text = question.encode("utf-8", "replace").decode()
        try:
            vector: Vectors = self.embedder.embed([text])[0]
        except ModelMissing:
            return None
        return vector if np.isfinite(vector).all() else None

    # --- waiting ----------------------------------------------------------------------------
    def join(self, ticket: Ticket, *notes: Command) -> Flight | Answer | None:
        """Lead the call or wait for it, or the answer that an identical one has just stored.

        `notes` are sent with it. None: Redis is away, so nobody waits.
        """
        place = ticket.place
        asking = self.flights.joining(place.partition, place.exact, place.scope)
        try:
            reply = self.connection.ask_many([*notes, asking])[-1]
            if reply[0] == HitLevel.COALESCED.encode():
                answer = self._unpacked(place, reply, HitLevel.COALESCED)
                if answer is not None:
                    return answer
                reply = self.connection.ask_many([asking])[0]  # it has been removed
            return self.flights.joined(place.partition, place.exact, reply[:2])
        except Away:
            return None

    def tell(self, *notes: Command) -> None:
        """Send what is only counted."""
        with suppress(Away):
            self.connection.ask_many(notes)

    # --- keeping ----------------------------------------------------------------------------
    def keep(self, ticket: Ticket, answer: Answer, policy: CachePolicy) -> Stored:
        """Store an answer that may be given again, and release those that wait for it."""
        why = entries.refused(answer)
        if why is None:
            command, entry = self.storing(ticket, answer, policy)
            if command is not None:
                return self._store(ticket, command, entry)
            why = "size"
        self.release(ticket)
        return Stored(why=why)

    def storing(
        self, ticket: Ticket, answer: Answer, policy: CachePolicy
    ) -> tuple[Command | None, str]:
        """The command that stores an answer, and the entry's id; None if it is too large."""
        place = ticket.place
        stored = entries.pack(answer)
        vector = self._vector(ticket) if place.similar else b""
        question = ticket.request.question.encode("utf-8", "replace")
        size = entries.weight(question, stored, vector)
        entry = place.partition.new_entry()
        if size > policy.largest_entry_bytes:
            return None, entry
        return entries.storing(
            ticket,
            entry,
            policy,
            size=size,
            cost=max(answer.cost_nanodollars, _LEAST_COST + _spent(answer)),
            fields={"answer": stored, "question": question, "vector": vector},
        ), entry

    def release(self, ticket: Ticket) -> None:
        """There is no answer for those that wait."""
        if ticket.flight is not None:
            self.flights.part(ticket.flight)

    def _store(self, ticket: Ticket, command: Command, entry: str) -> Stored:
        try:
            reply = self.connection.ask_many([command])[0]
        except Away as error:
            self.release(ticket)
            return Stored(why=str(error))
        if ticket.flight is not None:
            self.flights.land(ticket.flight)
        if reply[0] != b"stored":
            return Stored(why=reply[0].decode())
        return Stored(entry)

    def _vector(self, ticket: Ticket) -> bytes:
        vector = ticket.vector if ticket.vector is not None else self.embed(ticket.request.question)
        return b"" if vector is None else packed(vector)


def _spent(answer: Answer) -> int:
    return _COST_OF_A_TOKEN * answer.usage.total_tokens
