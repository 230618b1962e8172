"""The cache that the gateway asks: find an answer, wait for one, keep one.

::

    found = cache.find(request, policy)
    if found.answer is None and found.ticket is not None:
        ticket, answer = cache.join(found.ticket, policy)  # perhaps an identical call's answer
        …call a model…
        cache.keep(ticket, answer, policy)  # or cache.release(ticket) if there is none

:meth:`ResponseCache.through` does all of it around one function.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gateway.cache import entries, misses
from gateway.cache.coalescing import Flight, Flights, Waited
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
    def find(self, request: Request, policy: CachePolicy) -> Lookup:
        """An answer that may be given again, or the ticket to keep one with."""
        if not policy.enabled:
            return Lookup(why="disabled")
        try:
            place = self.place(request, policy)
            return self._find(request, place, policy)
        except (Unscoped, Unencodable) as error:
            return Lookup(why=str(error))
        except Away as error:
            return Lookup(why=str(error))

    def place(self, request: Request, policy: CachePolicy) -> Place:
        """Where the answers to a request belong. Raises Unscoped and Unencodable."""
        return place_of(request, policy, self.embedder.name, self.prefix)

    def _find(self, request: Request, place: Place, policy: CachePolicy) -> Lookup:
        reply, level = self.first_levels(place, "shadow" if policy.shadow else "serve")
        if level is not None:
            return Lookup(answer=_unpacked(reply, level))
        ticket = Ticket(request, place, int(reply[1]), reply[2])
        would_be, verdict = reply[4].decode(), None
        if place.similar and reply[3] and not would_be:
            ticket = replace(ticket, vector=self.embed(request.question))
            verdict, answer = self._similar(ticket, policy)
            if answer is not None:
                return Lookup(answer=answer, verdict=verdict)
            would_be = "similar" if verdict is not None and verdict.serves else ""
        misses.note(self.connection, ticket, verdict, would_be if policy.shadow else "")
        return Lookup(None, ticket, "", verdict, would_be if policy.shadow else "")

    def first_levels(self, place: Place, mode: str) -> tuple[list[Any], HitLevel | None]:
        """The reply of `find.lua` and the level that it hit; what is new is followed.

        Raises Away.
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
        except ValueError:
            return verdict, None  # an entry of another version

    def embed(self, question: str) -> Vectors | None:
        """The vector of a question; None without the model."""
        text = question.encode("utf-8", "replace").decode()
        try:
            vector: Vectors = self.embedder.embed([text])[0]
        except ModelMissing:
            return None
        return vector if np.isfinite(vector).all() else None

    # --- waiting ----------------------------------------------------------------------------
    def join(self, ticket: Ticket, policy: CachePolicy) -> tuple[Ticket, Answer | None]:
        """The answer of an identical call under way; or the ticket of the call to make."""
        if policy.shadow or not policy.coalesce:
            return ticket, None
        ends = time.monotonic() + policy.wait_s
        while (left := ends - time.monotonic()) > 0:
            flight = self.flights.join(ticket.place.partition, ticket.place.exact)
            if flight is None:
                break
            if not flight.leads and self.flights.wait(flight, left) is not Waited.ENDED:
                break
            # Whoever leads may have missed just before another one's answer was stored.
            answer = self.awaited(ticket)
            if answer is not None:
                self._leave(flight)
                return ticket, answer
            if flight.leads:
                return replace(ticket, flight=flight), None
        return ticket, None

    def awaited(self, ticket: Ticket) -> Answer | None:
        """The answer of an identical call that has just ended, if it was stored."""
        place = replace(ticket.place, normalised="", similar=False)
        try:
            reply, level = self.first_levels(place, "wait")
        except Away:
            return None
        return _unpacked(reply, HitLevel.COALESCED) if level is not None else None

    def _leave(self, flight: Flight) -> None:
        if flight.leads:
            self.flights.end(flight)

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
            self.flights.fail(ticket.flight)

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

    # --- all of it --------------------------------------------------------------------------
    def through(
        self, request: Request, policy: CachePolicy, call: Callable[[Request], Answer]
    ) -> Answer:
        """A stored answer, an identical call's, or the one that `call` makes. Raises as it does."""
        found = self.find(request, policy)
        if found.answer is not None:
            return found.answer
        if found.ticket is None:
            return call(request)
        ticket, answer = self.join(found.ticket, policy)
        if answer is not None:
            return answer
        try:
            made = call(request)
        except BaseException:
            self.release(ticket)
            raise
        return replace(made, entry=self.keep(ticket, made, policy).entry)


def _unpacked(reply: list[Any], level: HitLevel) -> Answer | None:
    try:
        return entries.unpack(reply[3], level, reply[1].decode(), int(reply[2]))
    except (ValueError, KeyError, TypeError):
        return None  # an entry of another version


def _spent(answer: Answer) -> int:
    return _COST_OF_A_TOKEN * answer.usage.total_tokens
