"""The breakers of all providers, one state for all processes; without Redis, one for each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Lock

from gateway.breaker.machine import Mode, Outcome, Permit, Rules, State, ask, tell
from gateway.cache.connection import Away, Connection
from ratelimit.plans import Ask, Plan, Replies
from ratelimit.scripts import Command, Script

SCRIPT = Script.of((Path(__file__).parent / "breaker.lua").read_text(encoding="utf-8"))
PREFIX = "ansf:breaker:"
RULES = Rules()
_MS = 1_000
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """How a breaker stands, for those who look."""

    provider: str
    mode: Mode
    seconds: float
    """In this mode."""
    calls: int
    """In the window."""
    failed: int
    slow: int
    shared: bool = True
    """False: Redis is away, and this is the state of one process."""


class Breakers:
    """All breakers, as one process sees them. Threads share it."""

    def __init__(self, connection: Connection, rules: Rules = RULES, prefix: str = PREFIX) -> None:
        self._connection = connection
        self._rules = rules
        self._told = " ".join(map(str, astuple(rules)))
        self._prefix = prefix
        self._lock = Lock()
        self._alone: dict[str, State] = {}
        self._resting: dict[str, float] = {}

    def ask(self, provider: str) -> Permit:
        """Whether the provider may be called now."""
        return self._permit(provider, self._asked(self._command(provider, "ask")))

    def asking(self, provider: str) -> Plan[Permit]:
        """`ask` as a plan, to be driven together with others."""
        return self._permit(provider, (yield Ask((self._command(provider, "ask"),))))

    def tell(self, provider: str, permit: Permit, outcome: Outcome) -> None:
        """What became of a call that was permitted."""
        replies = self._asked(self._telling(provider, permit, outcome))
        self._told_alone(provider, permit, outcome, replies)

    def telling(self, provider: str, permit: Permit, outcome: Outcome) -> Plan[None]:
        """`tell` as a plan."""
        replies = yield Ask((self._telling(provider, permit, outcome),))
        self._told_alone(provider, permit, outcome, replies)

    def outcome_of(self, seconds: float, timeout_s: float) -> Outcome:
        """Of a call that was answered after so long, by a provider that may take `timeout_s`."""
        slow = seconds * _PERCENT >= self._rules.slow_share * timeout_s
        return Outcome.SLOW if slow else Outcome.WELL

    def resting(self) -> frozenset[str]:
        """Providers that need not be asked, as far as this process has been told."""
        now = time.monotonic()
        return frozenset(name for name, until in list(self._resting.items()) if now < until)

    def show(self, providers: Iterable[str], through: Connection | None = None) -> list[Seen]:
        """How the breakers stand; one round trip, of pages `through` a connection of their own."""
        names, connection = list(providers), through or self._connection
        try:
            replies = connection.ask_many([self._command(name, "show") for name in names])
        except Away:
            return [self._alone_shown(name) for name in names]
        return [
            Seen(name, Mode(reply[0].decode()), reply[1] / _MS, reply[3], reply[4], reply[5])
            for name, reply in zip(names, replies, strict=True)
        ]

    def _asked(self, command: Command) -> Replies | None:
        try:
            return self._connection.ask_many([command])
        except Away:
            return None

    def _permit(self, provider: str, replies: Replies | None) -> Permit:
        if replies is None:
            permit = self._alone_ask(provider)
        else:
            allowed, epoch, retry_after_ms = replies[0]
            permit = Permit(allowed == 1, epoch, retry_after_ms)
        if permit.allowed:
            self._resting.pop(provider, None)
        else:
            self._resting[provider] = time.monotonic() + permit.retry_after_ms / _MS
        return permit

    def _telling(self, provider: str, permit: Permit, outcome: Outcome) -> Command:
        return self._command(provider, "tell", str(permit.epoch), outcome.value)

    def _told_alone(
        self, provider: str, permit: Permit, outcome: Outcome, replies: Replies | None
    ) -> None:
        if replies is not None:
            return
        with self._lock:
            state = self._alone.get(provider, State())
            self._alone[provider] = tell(state, self._rules, permit.epoch, outcome, _now_ms())

    def _command(self, provider: str, verb: str, *words: str) -> Command:
        return Command(SCRIPT, (self._prefix + provider,), (verb, self._told, *words))

    def _alone_ask(self, provider: str) -> Permit:
        with self._lock:
            state, permit = ask(self._alone.get(provider, State()), self._rules, _now_ms())
            self._alone[provider] = state
        return permit

    def _alone_shown(self, provider: str) -> Seen:
        state = self._alone.get(provider, State())
        calls = sum(part.calls for part in state.window)
        failed = sum(part.failed for part in state.window)
        slow = sum(part.slow for part in state.window)
        seconds = (_now_ms() - state.since_ms) / _MS if state.since_ms else 0.0
        return Seen(provider, state.mode, seconds, calls, failed, slow, shared=False)


def _now_ms() -> int:
    return int(time.monotonic() * _MS)
