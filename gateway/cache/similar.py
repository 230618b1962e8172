"""L3: the nearest entries of a scope, compared in full."""

from __future__ import annotations

from gateway.cache import entries
from gateway.cache.connection import Connection
from gateway.cache.decision import Candidate, Record, Verdict, best, judge
from gateway.cache.index import Near
from gateway.cache.journal import Journal
from gateway.cache.keys import digest_of
from gateway.cache.lookup import Place
from gateway.cache.scripts import LOOK, SERVE
from gateway.embedder import Vectors
from gateway.request import Answer, HitLevel

_ROUNDS = 2
"""Searches in one lookup, the second without the rows that turned out to be gone."""

_ASKED = 16
"""Questions that an entry was served to and may be reported about, as digests."""
_DIGITS = 16


def asked_digest(question: str) -> str:
    """By which an entry remembers a question that it was served to."""
    return digest_of(question)[:_DIGITS]


class Similar:
    """Searches on the vectors of this process; entries are read from Redis."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal

    def verdicts(
        self, place: Place, question: str, vector: Vectors, threshold: float
    ) -> list[Verdict]:
        """On the nearest entries that are valid. Raises Away."""
        asked = (place.partition, place.scope)
        candidates: list[Candidate] = []
        for _ in range(_ROUNDS):
            near = self._journal.nearest(asked, vector)
            if not near:
                break
            candidates = self._read(place, near)
            if len(candidates) == len(near):
                break
        return [judge(question, candidate, threshold) for candidate in candidates]

    def best(
        self, place: Place, question: str, vector: Vectors, threshold: float
    ) -> Verdict | None:
        """On the entry to serve, or the one that came nearest to it. Raises Away."""
        return best(self.verdicts(place, question, vector, threshold))

    def serve(self, place: Place, question: str, verdict: Verdict) -> Answer | None:
        """The entry's answer; None if it has become invalid meanwhile. Raises Away, Unreadable."""
        entry = verdict.candidate.entry
        asked = asked_digest(question)
        reply = self._connection.ask(
            SERVE, place.partition, place.scope, entry, f"{verdict.score:.6f}", asked, _ASKED
        )
        if not reply:
            return None
        return entries.unpack(reply[3], HitLevel.SIMILAR, entry, int(reply[2]), verdict.score)

    def _read(self, place: Place, near: list[Near]) -> list[Candidate]:
        names = [found.entry for found in near]
        replies = self._connection.ask(LOOK, place.partition, place.scope, *names)
        candidates = []
        for found, reply in zip(near, replies, strict=True):
            if not reply:
                self._journal.forget((place.partition, place.scope), found.entry)
                continue
            question, good, bad, worst = reply
            record = Record(int(good), int(bad), float(worst))
            candidates.append(
                Candidate(found.entry, question.decode(), min(1.0, found.cosine), record)
            )
        return candidates
