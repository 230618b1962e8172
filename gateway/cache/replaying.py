"""What the cache would do with a stream of prompts: its levels in their order, without Redis.

Keys, vectors, candidates and verdicts are made by what makes them in a lookup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.cache.decision import Candidate, Verdict, best, judge
from gateway.cache.index import Block, packed
from gateway.cache.lookup import Place, place_of
from gateway.cache.normalised import normalised
from gateway.cache.policy import CachePolicy
from gateway.embedder import DIMENSION, Vectors
from gateway.request import HitLevel, Message, Request

_LEVELS = (HitLevel.EXACT, HitLevel.NORMALISED, HitLevel.SIMILAR)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a cache that stores every answer would have done."""

    requests: int
    hits: int
    wrong: int
    """Hits on a prompt of another group."""
    levels: dict[str, int]
    """Hits by level."""
    wrong_levels: dict[str, int]


def replay(
    prompts: Sequence[str], vectors: Vectors, groups: Sequence[str], policy: CachePolicy
) -> Replay:
    """Ask `prompts` in order; each one's answer is kept, hit or not.

    `vectors` has shape (prompts, 384) and rows of length 1.
    """
    kept = _Kept(prompts, policy)
    levels = {level.value: 0 for level in _LEVELS}
    wrong = dict(levels)
    for number, prompt in enumerate(prompts):
        request = Request(tenant="1", messages=(Message("user", prompt),))
        place = place_of(request, policy, embedder="", prefix="")
        level, entry = kept.find(number, place, vectors[number])
        if level is not HitLevel.NONE:
            levels[level] += 1
            wrong[level] += groups[entry] != groups[number]
        kept.keep(number, place, vectors[number])
    return Replay(len(prompts), sum(levels.values()), sum(wrong.values()), levels, wrong)


def same_words(a: str, b: str) -> bool:
    """Whether one is found for the other before anything is compared."""
    form = normalised(a)
    return a == b or (form is not None and form == normalised(b))


@dataclass(slots=True)
class _Kept:
    """Entries by how they are found; an entry is the number of its prompt."""

    prompts: Sequence[str]
    policy: CachePolicy
    exact: dict[str, int] = field(default_factory=dict)
    normalised: dict[str, int] = field(default_factory=dict)
    block: Block = field(default_factory=lambda: Block(DIMENSION))

    def find(self, number: int, place: Place, vector: Vectors) -> tuple[HitLevel, int]:
        """The level that hits, and the entry."""
        if place.exact in self.exact:
            return HitLevel.EXACT, self.exact[place.exact]
        if place.normalised in self.normalised:
            return HitLevel.NORMALISED, self.normalised[place.normalised]
        if place.similar:
            near = self.block.nearest(vector)
            verdict = best(self._judged(number, entry, cosine) for entry, cosine in near)
            if verdict is not None and verdict.serves:
                return HitLevel.SIMILAR, int(verdict.candidate.entry)
        return HitLevel.NONE, -1

    def _judged(self, number: int, entry: str, cosine: float) -> Verdict:
        candidate = Candidate(entry, self.prompts[int(entry)], min(1.0, cosine))
        return judge(self.prompts[number], candidate, self.policy.threshold)

    def keep(self, number: int, place: Place, vector: Vectors) -> None:
        """Like `store.lua`: the newest answer to the same request takes the older one's place."""
        older = self.exact.get(place.exact)
        if older is not None:
            self.block.remove(str(older))
        self.exact[place.exact] = number
        if place.normalised:
            self.normalised[place.normalised] = number
        if place.similar:
            self.block.add(str(number), packed(vector))
