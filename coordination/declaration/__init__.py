"""Swarms declared in YAML: read, compared with the rows, applied, written out again.

A declaration names what shall be; applying it changes what is not so yet, all in one
transaction, and a second time changes nothing::

    swarms:
      backend:
        weight: 2
        agents: {count: 6, role: worker, slots: 1}
    definitions:
      http.fetch: {handler: http.fetch, pool: io, swarm: backend}
    schedules:
      nightly: {definition: http.fetch, cron: "0 3 * * *", payload: {url: "https://example.org"}}
    limits:
      small-model: {unit: tokens, limit: 60_000, period: 60, scope: model, on_deny: wait}

* A field that is left out stays as it is (a new row takes the default).
* A swarm that is left out is left alone; an agent that a declared swarm leaves out is disabled,
  not deleted, so that its history keeps a name.
* A changed definition becomes a new version; nothing else can change one.
* An unknown key is refused with its path, because a misspelt limit is a limit that is off.
"""

from __future__ import annotations

from coordination.declaration.apply import Change, apply
from coordination.declaration.export import export, export_text
from coordination.declaration.parse import parse, parse_mapping
from coordination.declaration.spec import AgentSpec, Declaration, Item, SwarmSpec

__all__ = [
    "AgentSpec",
    "Change",
    "Declaration",
    "Item",
    "SwarmSpec",
    "apply",
    "export",
    "export_text",
    "parse",
    "parse_mapping",
]
