"""What policies that refuse (``on_deny: reject``) let in: charged when tasks are submitted.

They count submissions, each once: a retry or a replay costs nothing more, and neither does a
request whose unique key leads to a task that is there. All tasks of one request that need the same
buckets get in together or not at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from coordination import keys
from coordination.catalogue import Catalogue
from coordination.errors import ItemError, Limited
from coordination.rows import NewTask
from ratelimit import pool
from ratelimit.buckets import Bucket
from ratelimit.decision import Decision, charged_of

Buckets = tuple[Bucket, ...]


@dataclass(slots=True)
class Toll:
    """What a request was charged, by the buckets of its tasks."""

    paid: dict[Buckets, list[int]] = field(default_factory=dict)
    """Positions of the tasks that these buckets let in."""
    charged: dict[Buckets, Buckets] = field(default_factory=dict)
    """Those of the buckets that have been charged: shadows may not."""
    known: dict[Buckets, list[int]] = field(default_factory=dict)
    """Positions of the tasks that other tasks stand for, by their unique keys."""
    refused: list[ItemError] = field(default_factory=list)

    def keep(self, stored: Collection[int]) -> None:
        """Give back what was charged for tasks that were not stored, and charge for those that
        were after all: the task that had their key has ended meanwhile.
        """
        unused: Counter[Bucket] = Counter()
        for buckets, positions in self.paid.items():
            count = sum(position not in stored for position in positions)
            unused.update(dict.fromkeys(self.charged[buckets], count))
        late: Counter[Bucket] = Counter()
        for buckets, positions in self.known.items():
            count = sum(position in stored for position in positions)
            late.update(dict.fromkeys((b for b in buckets if not b.shadow), count))
        if +unused:
            pool.limiter().refund_many(list((+unused).items()))
        if +late:
            pool.limiter().charge_many(list((+late).items()))


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
    counted = {
        position: buckets
        for position, task in drafts.items()
        if (buckets := catalogue.refusing(task))
    }
    if not counted:
        return Toll()
    groups: dict[Buckets, list[int]] = defaultdict(list)
    known: dict[Buckets, list[int]] = defaultdict(list)
    others = _of_others(catalogue, {position: drafts[position] for position in counted})
    for position, buckets in counted.items():
        (known if position in others else groups)[buckets].append(position)
    toll = Toll(known=known)
    requests = [(buckets, len(positions)) for buckets, positions in groups.items()]
    answers = dict(zip(groups, pool.limiter().acquire_many(requests), strict=True))
    toll.paid = {b: positions for b, positions in groups.items() if answers[b].allowed}
    toll.charged = {b: charged_of(b, answers[b]) for b in toll.paid}
    denied = [buckets for buckets in groups if not answers[buckets].allowed]
    if denied and not partial:
        toll.keep(())
        raise Limited(_told(answers[denied[0]]), denied[0], answers[denied[0]])
    for buckets in denied:
        for position in groups[buckets]:
            toll.refused.append(ItemError(position, "/limits", _told(answers[buckets])))
            del drafts[position]
    return toll


def _of_others(catalogue: Catalogue, drafts: Mapping[int, NewTask]) -> set[int]:
    """Positions of drafts whose key a live task has, or an earlier draft."""
    named = {p: task.unique_key for p, task in drafts.items() if task.unique_key is not None}
    seen = keys.held(catalogue.tenant.pk, set(named.values()))
    found = set()
    for position, key in named.items():
        if key in seen:
            found.add(position)
        seen.add(key)
    return found


def _told(decision: Decision) -> str:
    which = ", ".join(decision.violated) or "a limit"
    if decision.never:
        return f"{which} never lets in so many at once: submit fewer"
    after = 0.0 if decision.retry_after is None else decision.retry_after
    return f"{which} is reached: try again in {max(after, 0.1):.1f} s"
