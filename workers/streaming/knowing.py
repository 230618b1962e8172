"""From which score on a window counts as known: told by the memory itself.

Each of some known patterns is searched among the others. If new windows come from where the
patterns came from, their scores are distributed alike, so a window below the lowest hundredth is
one in a hundred (the p-value of a conformal detector, Laxhammar & Falkman 2010).
"""

from __future__ import annotations

import numpy as np

from patterns import memory
from patterns.models import Namespace, Pattern
from patterns.vectors import from_bytes

SAMPLE = 300
FEWEST = 20
"""Known patterns; of fewer nothing can be learnt."""
ALARMS = 0.01
DEFAULT = 0.5


def least_score(namespace: Namespace) -> float | None:
    """The score that all but one in a hundred known patterns reach; None of too few."""
    alive = Pattern.objects.filter(namespace=namespace, removed=False).order_by("pk")
    ids = list(alive.values_list("pk", flat=True)[: memory.MAX_RESULTS * SAMPLE])
    if len(ids) < FEWEST:
        return None
    chosen = ids[:: max(1, len(ids) // SAMPLE)][:SAMPLE]
    rows = list(alive.filter(pk__in=chosen).values_list("pk", "vector"))
    raw = from_bytes(b"".join(bytes(vector) for _, vector in rows), namespace.dimension)
    answers = memory.search_many(namespace, raw, 2)
    scores = [
        max((hit.score for hit in hits if hit.id != pk), default=-1.0)
        for (pk, _), hits in zip(rows, answers, strict=True)
    ]
    return float(np.quantile(scores, ALARMS, method="lower"))
