"""Addresses of coordination, below ``/api/v1/``."""

from __future__ import annotations

from django.urls import path

from coordination.api import (
    agents,
    attempts,
    dead_letters,
    definitions,
    lanes,
    runs,
    schedules,
    swarms,
    tasks,
    workers,
)

_DEFINITION = "task-definitions/<str:name>"
_SCHEDULE = "schedules/<slug:name>"

urlpatterns = [
    path("swarms", swarms.Swarms.as_view(), name="swarms"),
    path("swarms/<slug:slug>", swarms.Swarm.as_view(), name="swarm"),
    path("swarms/<slug:slug>/pause", swarms.SwarmPause.as_view(), name="swarm-pause"),
    path("swarms/<slug:slug>/resume", swarms.SwarmResume.as_view(), name="swarm-resume"),
    path("agents", agents.Agents.as_view(), name="agents"),
    path("agents/<int:agent_id>", agents.Agent.as_view(), name="agent"),
    path("task-definitions", definitions.Definitions.as_view(), name="definitions"),
    path(_DEFINITION, definitions.Definition.as_view(), name="definition"),
    path(f"{_DEFINITION}/versions", definitions.Versions.as_view(), name="definition-versions"),
    path(
        f"{_DEFINITION}/versions/<int:version>",
        definitions.Version.as_view(),
        name="definition-version",
    ),
    path("tasks", tasks.Tasks.as_view(), name="tasks"),
    path("tasks/bulk", tasks.TaskBulk.as_view(), name="task-bulk"),
    path("tasks/<uuid:task_id>", tasks.Task.as_view(), name="task"),
    path("tasks/<uuid:task_id>/cancel", tasks.TaskCancellation.as_view(), name="task-cancel"),
    path("tasks/<uuid:task_id>/retry", tasks.TaskRetry.as_view(), name="task-retry"),
    path("tasks/<uuid:task_id>/logs", attempts.TaskLogs.as_view(), name="task-logs"),
    path("tasks/<uuid:task_id>/attempts", attempts.TaskAttempts.as_view(), name="task-attempts"),
    path("attempts/<int:attempt_id>", attempts.Attempt.as_view(), name="attempt"),
    path("runs", runs.Runs.as_view(), name="runs"),
    path("runs/<uuid:run_id>", runs.Run.as_view(), name="run"),
    path("runs/<uuid:run_id>/cancel", runs.RunCancellation.as_view(), name="run-cancel"),
    path("lanes", lanes.Lanes.as_view(), name="lanes"),
    path("lanes/<int:lane_id>", lanes.Lane.as_view(), name="lane"),
    path("lanes/<int:lane_id>/skip", lanes.LaneSkip.as_view(), name="lane-skip"),
    path("schedules", schedules.Schedules.as_view(), name="schedules"),
    path(_SCHEDULE, schedules.Schedule.as_view(), name="schedule"),
    path(f"{_SCHEDULE}/pause", schedules.SchedulePause.as_view(), name="schedule-pause"),
    path(f"{_SCHEDULE}/resume", schedules.ScheduleResume.as_view(), name="schedule-resume"),
    path(f"{_SCHEDULE}/run", schedules.ScheduleRun.as_view(), name="schedule-run"),
    path(f"{_SCHEDULE}/firings", schedules.Firings.as_view(), name="schedule-firings"),
    path("dead-letters", dead_letters.DeadLetters.as_view(), name="dead-letters"),
    path("dead-letters/replay", dead_letters.DeadLetterReplay.as_view(), name="dead-letter-replay"),
    path("workers", workers.Workers.as_view(), name="workers"),
    path("workers/<int:worker_id>", workers.Worker.as_view(), name="worker"),
    path("queues", workers.Queues.as_view(), name="queues"),
]
