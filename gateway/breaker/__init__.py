"""Stops asking a provider that fails or has become slow, and finds out when it is well again.

    closed ──enough of the calls in the window failed or were slow──▶ open
      ▲                                                                │ `open_s` later
      └── `trials` calls in a row went well ── half-open ◀─────────────┘
                                                  └── one failed or was slow ──▶ open

`machine` is the state machine: pure, the time is an argument. `shared` keeps one state for all
processes in Redis, where a script does the same; while Redis is away each process keeps its own.
Every permission carries the state's epoch, and an outcome of another epoch is not counted: what
was asked before the breaker opened says nothing about a trial.
"""

from __future__ import annotations

from gateway.breaker.machine import Mode, Outcome, Permit, Rules, State, ask, tell

__all__ = ["Mode", "Outcome", "Permit", "Rules", "State", "ask", "tell"]
