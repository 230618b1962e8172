"""The state machine of one breaker. Pure: times are milliseconds of one clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Mode(StrEnum):
    """What a breaker does."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Outcome(StrEnum):
    """What became of a call."""

    WELL = "well"
    SLOW = "slow"
    FAILED = "failed"
    DROPPED = "dropped"
    """It tells nothing: given up by the caller, or refused for a reason of its own."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When to open, for how long, and how to come back."""

    window_ms: int = 30_000
    slices: int = 10
    """Parts of the window; the oldest leaves it as a whole."""
    least_calls: int = 10
    """In the window, before anything is concluded."""
    failure_percent: int = 50
    slow_share: int = 33
    """Percent of a provider's timeout: what takes as long is slow."""
    slow_percent: int = 80
    open_ms: int = 15_000
    trials: int = 3
    trial_ms: int = 120_000
    """A trial without an outcome for so long is given up: its process has died."""

    @property
    def slice_ms(self) -> int:
        """How long a part of the window is."""
        return max(1, self.window_ms // self.slices)


@dataclass(frozen=True, slots=True)
class Slice:
    """Outcomes of a part of the window."""

    number: int
    calls: int = 0
    failed: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """Where a breaker stands."""

    mode: Mode = Mode.CLOSED
    since_ms: int = 0
    epoch: int = 0
    """Grows with every change of the mode."""
    window: tuple[Slice, ...] = ()
    granted: int = 0
    """Trials under way or done well."""
    passed: int = 0


@dataclass(frozen=True, slots=True)
class Permit:
    """The answer to whether a call may be made."""

    allowed: bool
    epoch: int
    retry_after_ms: int = 0


def ask(state: State, rules: Rules, now_ms: int) -> tuple[State, Permit]:
    """Whether a call may be made now, and the state after the question."""
    match state.mode:
        case Mode.CLOSED:
            return state, Permit(True, state.epoch)
        case Mode.OPEN if now_ms < state.since_ms + rules.open_ms:
            return state, Permit(False, state.epoch, state.since_ms + rules.open_ms - now_ms)
        case Mode.HALF_OPEN if state.granted < rules.trials:
            state = replace(state, granted=state.granted + 1)
            return state, Permit(True, state.epoch)
        case Mode.HALF_OPEN if now_ms < state.since_ms + rules.trial_ms:
            return state, Permit(False, state.epoch, min(1_000, rules.open_ms))
    state = State(Mode.HALF_OPEN, now_ms, state.epoch + 1, granted=1)
    return state, Permit(True, state.epoch)


def tell(state: State, rules: Rules, permit_epoch: int, outcome: Outcome, now_ms: int) -> State:
    """The state after a call's outcome."""
    if permit_epoch != state.epoch:
        return state
    if state.mode is Mode.HALF_OPEN:
        return _tried(state, rules, outcome, now_ms)
    if outcome is Outcome.DROPPED:
        return state
    state = replace(state, window=_counted(state.window, rules, outcome, now_ms))
    return _opened(state, now_ms) if _ill(state.window, rules) else state


def _tried(state: State, rules: Rules, outcome: Outcome, now_ms: int) -> State:
    match outcome:
        case Outcome.DROPPED:
            return replace(state, granted=max(0, state.granted - 1))
        case Outcome.WELL if state.passed + 1 >= rules.trials:
            return State(Mode.CLOSED, now_ms, state.epoch + 1)
        case Outcome.WELL:
            return replace(state, passed=state.passed + 1)
    return _opened(state, now_ms)


def _opened(state: State, now_ms: int) -> State:
    return State(Mode.OPEN, now_ms, state.epoch + 1)


def _counted(
    window: tuple[Slice, ...], rules: Rules, outcome: Outcome, now_ms: int
) -> tuple[Slice, ...]:
    number = now_ms // rules.slice_ms
    kept = [part for part in window if number - rules.slices < part.number]
    last = kept.pop() if kept and kept[-1].number >= number else Slice(number)
    counted = Slice(
        last.number,
        last.calls + 1,
        last.failed + (outcome is Outcome.FAILED),
        last.slow + (outcome is Outcome.SLOW),
    )
    return (*kept, counted)


def _ill(window: tuple[Slice, ...], rules: Rules) -> bool:
    calls = sum(part.calls for part in window)
    if calls < rules.least_calls:
        return False
    failed = sum(part.failed for part in window)
    slow = sum(part.slow for part in window)
    return failed * 100 >= rules.failure_percent * calls or slow * 100 >= rules.slow_percent * calls
