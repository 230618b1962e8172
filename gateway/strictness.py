"""How sure the cache must be before a similar question gets a stored answer."""

from __future__ import annotations

from enum import StrEnum


class Strictness(StrEnum):
    """Chosen per policy; `exact` serves no similar question at all."""

    EXACT = "exact"
    STRICT = "strict"
    BALANCED = "balanced"
    LENIENT = "lenient"


THRESHOLDS = {
    Strictness.EXACT: 1.01,  # no probability reaches it
    Strictness.STRICT: 0.69,
    Strictness.BALANCED: 0.66,
    Strictness.LENIENT: 0.35,
}
"""Least probability (:mod:`gateway.similarity.score`) for a hit.

Set on streams of 6 000 banking questions (BANKING77) and 5 000 of 150 kinds (CLINC150), where a hit
on another intent counts as wrong though the labels are noisy: balanced 15 % and 8 % hits with
0.6 % and 0.1 % of the requests wrong, strict 11 % and 5 % with 0.4 % and 0.02 %.
"""

DEFAULT = Strictness.BALANCED
