"""The admin of coordination: configuration can be changed there, work can be steered.

Tasks, attempts and what else the platform writes are shown, never edited; their verbs go through
the same services as REST and the command line. Lists of tables that grow without bound never
count their rows. Everything that changes something leaves an audit entry.
"""

from __future__ import annotations

from coordination.admin import attempts, definitions, fleet, limits, runs, schedules, swarms, tasks

__all__ = ["attempts", "definitions", "fleet", "limits", "runs", "schedules", "swarms", "tasks"]
