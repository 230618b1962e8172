"""Turning swarms and lanes off and on."""

from __future__ import annotations

from collections import Counter

from django.db.models import F

from coordination import lanes, sql
from coordination.lifecycle.settling import unblock
from coordination.models import Lane, Swarm


def pause(swarm: Swarm) -> bool:
    """Stop dispatching a swarm's tasks; those in flight finish. False when it was paused."""
    return _set_paused(swarm, paused=True)


def resume(swarm: Swarm) -> bool:
    """Dispatch a swarm's tasks again. False when it was not paused."""
    return _set_paused(swarm, paused=False)


def _set_paused(swarm: Swarm, *, paused: bool) -> bool:
    changed = Swarm.objects.filter(pk=swarm.pk, paused=not paused).update(
        paused=paused, revision=F("revision") + 1
    )
    swarm.refresh_from_db()
    sql.notify()
    return bool(changed)


@sql.retrying
def go_on(lane: Lane) -> bool:
    """Lift the halt that a dead task put on a lane; its next task runs. False if not halted."""
    with sql.atomic():
        was_halted = Lane.objects.filter(pk=lane.pk, halted=True).exists()
        unblock(Counter(lanes.go_on(lane.pk)))
        sql.notify()
        Lane.objects.filter(pk=lane.pk).update(revision=F("revision") + 1)
    lane.refresh_from_db()
    return was_halted
