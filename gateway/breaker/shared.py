"""The breakers of all providers, one state for all processes; without Redis, one for each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from gateway.breaker.machine import Mode, Outcome, Permit, Rules, State, ask, tell
from gateway.cache.connection import Away, Connection
from ratelimit.scripts import Command, Script

SCRIPT = Script.of((Path(__file__).parent / "breaker.lua").read_text(encoding="utf-8"))
PREFIX = "ansf:breaker:"
RULES = Rules()
_MS = 1_000


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
        reply = self._asked(provider, "ask")
        if reply is None:
            permit = self._alone_ask(provider)
        else:
            permit = Permit(reply[0] == 1, reply[1], reply[2])
        if permit.allowed:
            self._resting.pop(provider, None)
        else:
            self._resting[provider] = time.monotonic() + permit.retry_after_ms / _MS
        return permit

    def tell(self, provider: str, permit: Permit, outcome: Outcome) -> None:
        """What became of a call that was permitted."""
        reply = self._asked(provider, "tell", str(permit.epoch), outcome.value)
        if reply is not None:
            return
        with self._lock:
            state = self._alone.get(provider, State())
            self._alone[provider] = tell(state, self._rules, permit.epoch, outcome, _now_ms())

    def outcome_of(self, seconds: float) -> Outcome:
        """Of a call that was answered after so long."""
        return Outcome.SLOW if seconds * _MS >= self._rules.slow_ms else Outcome.WELL

    def resting(self) -> frozenset[str]:
        """Providers that need not be asked, as far as this process has been told."""
        now = time.monotonic()
        return frozenset(name for name, until in list(self._resting.items()) if now < until)

    def show(self, providers: Iterable[str]) -> list[Seen]:
        """How the breakers stand; one round trip."""
        names = list(providers)
        try:
            replies = self._connection.ask_many([self._command(name, "show") for name in names])
        except Away:
            return [self._alone_shown(name) for name in names]
        return [
            Seen(name, Mode(reply[0].decode()), reply[1] / _MS, reply[3], reply[4], reply[5])
            for name, reply in zip(names, replies, strict=True)
        ]

    def _asked(self, provider: str, *words: str) -> Any:
        try:
            return self._connection.ask_many([self._command(provider, *words)])[0]
        except Away:
            return None

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
