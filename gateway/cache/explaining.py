"""Why a question would hit or miss: asks like a lookup, but counts and serves nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gateway.cache.decision import Verdict
from gateway.cache.keys import is_shared
from gateway.cache.policy import CachePolicy
from gateway.cache.response_cache import ResponseCache
from gateway.cache.scope import scope_of
from gateway.request import Request


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a lookup would do."""

    level: str
    """That would serve: exact, normalised, similar, or none."""
    entry: str
    scope: str
    fields: dict[str, Any]
    """What the scope is made of."""
    similar_asked: bool
    threshold: float
    in_scope: int
    """Entries that could be similar."""
    verdicts: tuple[Verdict, ...]
    """On the nearest of them, likeliest first."""

    def as_dict(self, *, shared_texts: bool = False) -> dict[str, Any]:
        """Plain JSON types; questions of shared entries, which others asked, only if wanted."""
        return asdict(self) | {
            "verdicts": [
                {
                    "entry": verdict.candidate.entry,
                    "question": verdict.candidate.question
                    if shared_texts or not is_shared(verdict.candidate.entry)
                    else "",
                    "cosine": round(verdict.candidate.cosine, 4),
                    "score": round(verdict.score, 4),
                    "threshold": round(verdict.threshold, 4),
                    "vetoes": list(verdict.vetoes),
                    "reported": asdict(verdict.candidate.record),
                    "serves": verdict.serves,
                }
                for verdict in self.verdicts
            ]
        }


def explain(cache: ResponseCache, request: Request, policy: CachePolicy) -> Explanation:
    """What a lookup would do. Raises Away, Unscoped and Unencodable."""
    place = cache.place(request, policy)
    reply, _ = cache.first_levels(place, "peek")
    level, entry = reply[4].decode() or "none", reply[5].decode()
    verdicts: list[Verdict] = []
    if place.similar and reply[3]:
        vector = cache.embed(request.question)
        if vector is not None:
            verdicts = cache.similar.verdicts(place, request.question, vector, policy.threshold)
    verdicts.sort(key=lambda verdict: (verdict.serves, verdict.score), reverse=True)
    if level == "none" and verdicts and verdicts[0].serves:
        level, entry = "similar", verdicts[0].candidate.entry
    return Explanation(
        level=level,
        entry=entry,
        scope=place.scope,
        fields=asdict(scope_of(request, policy, cache.embedder.name)),
        similar_asked=place.similar,
        threshold=policy.threshold,
        in_scope=int(reply[3]),
        verdicts=tuple(verdicts),
    )
