"""What policies that refuse (``on_deny: reject``) let in: charged when tasks are submitted.

They count submissions, each once: a retry or a replay costs nothing more. All tasks of one request
that need the same buckets get in together or not at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coordination.catalogue import Catalogue
from coordination.errors import ItemError, Limited
from coordination.rows import NewTask
from ratelimit import pool
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision


@dataclass(slots=True)
class Toll:
    """What a request was charged, by the buckets of its tasks."""

    paid: dict[tuple[Bucket, ...], list[int]] = field(default_factory=dict)
    """Positions of the tasks that these buckets let in."""
    refused: list[ItemError] = field(default_factory=list)

    def keep(self, stored: Collection[int]) -> None:
        """Give back what was charged for tasks that were not stored."""
        unused = {
            buckets: sum(position not in stored for position in positions)
            for buckets, positions in self.paid.items()
        }
        changes = [
            (bucket, count) for buckets, count in unused.items() if count for bucket in buckets
        ]
        if changes:
            pool.limiter().refund_many(changes)


@contextmanager
def paid(catalogue: Catalogue, drafts: dict[int, NewTask], *, partial: bool) -> Iterator[Toll]:
    """Charge for the drafts; an error in the block gives everything back.

    Raises :class:`Limited` for what is refused; if `partial`, takes it out of the drafts instead.
    """
    toll = _charge(catalogue, drafts, partial=partial)
    try:
        yield toll
    except BaseException:
        toll.keep(())
        raise


def _charge(catalogue: Catalogue, drafts: dict[int, NewTask], *, partial: bool) -> Toll:
    groups: dict[tuple[Bucket, ...], list[int]] = defaultdict(list)
    for position, task in drafts.items():
        if buckets := catalogue.refusing(task):
            groups[buckets].append(position)
    toll = Toll()
    if not groups:
        return toll
    requests = [(buckets, len(positions)) for buckets, positions in groups.items()]
    answers = dict(zip(groups, pool.limiter().acquire_many(requests), strict=True))
    toll.paid = {b: positions for b, positions in groups.items() if answers[b].allowed}
    denied = [buckets for buckets in groups if not answers[buckets].allowed]
    if denied and not partial:
        toll.keep(())
        raise Limited(_told(answers[denied[0]]), denied[0], answers[denied[0]])
    for buckets in denied:
        for position in groups[buckets]:
            toll.refused.append(ItemError(position, "/limits", _told(answers[buckets])))
            del drafts[position]
    return toll


def _told(decision: Decision) -> str:
    which = ", ".join(decision.violated) or "a limit"
    if decision.never:
        return f"{which} never lets in so many at once: submit fewer"
    after = 0.0 if decision.retry_after is None else decision.retry_after
    return f"{which} is reached: try again in {max(after, 0.1):.1f} s"
