"""When a check changes its state: a pure decision over its last readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing is; ``unknown`` until the first decision."""

    UNKNOWN = "unknown"
    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


BADNESS = {State.OK: 0, State.DEGRADED: 1, State.FAILED: 2}


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of state and why."""

    before: State
    after: State
    reason: str


def step(state: State, readings: Sequence[State], rise: int, fall: int) -> Turn | None:
    """Decide whether `readings` (oldest first, none unknown) change `state`.

    1. Unknown becomes ok with the first good reading: there is nothing to recover from.
    2. `fall` readings in a row, all worse than the state, make it as bad as the best of them.
    3. `rise` readings in a row, all better than the state, make it as good as the worst of them.

    Raises ValueError when `rise` or `fall` is below 1.
    """
    if rise < 1 or fall < 1:
        raise ValueError("rise and fall are at least 1")
    if state is State.UNKNOWN:
        return _first(readings, fall)
    worse = _last(readings, fall)
    if worse and min(BADNESS[r] for r in worse) > BADNESS[state]:
        return _turn(state, min(worse, key=BADNESS.__getitem__), fall)
    better = _last(readings, rise)
    if better and max(BADNESS[r] for r in better) < BADNESS[state]:
        return _turn(state, max(better, key=BADNESS.__getitem__), rise)
    return None


def _first(readings: Sequence[State], fall: int) -> Turn | None:
    if readings and readings[-1] is State.OK:
        return Turn(State.UNKNOWN, State.OK, "first reading is ok")
    bad = _last(readings, fall)
    if bad and State.OK not in bad:
        return _turn(State.UNKNOWN, min(bad, key=BADNESS.__getitem__), fall)
    return None


def _last(readings: Sequence[State], count: int) -> Sequence[State]:
    return readings[-count:] if len(readings) >= count else ()


def _turn(before: State, after: State, count: int) -> Turn:
    plural = "reading" if count == 1 else "readings in a row"
    than = "not ok" if before is State.UNKNOWN else f"not {before}"
    return Turn(before, after, f"{count} {plural} {than}")
