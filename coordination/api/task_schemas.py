"""The schemas of tasks and attempts."""

from __future__ import annotations

from ansf_platform.schemas import (
    Schema,
    anything,
    array,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    record,
    ref,
    slug,
    text,
    uuid,
)
from coordination.models import Outcome, Pool, Status

MAX_BULK = 10_000
MAX_IDS = 1_000
MAX_NAME = 200  # characters of a unique key or a lane

PRIORITY = integer(0, 9, description="9 is most urgent.")
DEFINITION_NAME = text(100, shortest=1, description="Name of a task definition.")
VALUE: Schema = {"description": "Any JSON value."}

_SUMMARY: dict[str, Schema] = {
    "id": uuid(),
    "definition": text(100),
    "version": integer(1),
    "swarm": text(50),
    "pool": choice(*Pool.values),
    "priority": PRIORITY,
    "status": choice(*Status.values),
    "reason": text(100, description="Why it ended or waits."),
    "attempt": integer(description="Attempts charged so far."),
    "waiting_on": integer(description="Parents and lane predecessors not ended."),
    "run": nullable(uuid()),
    "key": nullable(text(200, description="Unique while the task has not ended.")),
    "not_before": nullable(moment()),
    "deadline": nullable(moment()),
    "created_at": moment(),
    "ready_at": nullable(moment()),
    "dispatched_at": nullable(moment()),
    "started_at": nullable(moment()),
    "finished_at": nullable(moment()),
    "cancel_requested_at": nullable(moment()),
}
TASK_SUMMARY = define("TaskSummary", record(_SUMMARY))
TASKS = page_of(TASK_SUMMARY)

EVENT = define("TaskEvent", record({"at": moment(), "what": text(100), "detail": text(10_000)}))
TASK_ERROR = define("TaskError", record({"type": text(200), "message": {"type": "string"}}))
TASK_LIMIT = define(
    "TaskLimit",
    record(
        {
            "policy": text(100),
            "key": text(1000, description="Whom it is counted for."),
            "unit": text(20),
            "left": integer(-(2**53), description="Units left now; below 0 after a settlement."),
            "next_in": nullable(number(0, 1e9, description="Seconds until there is a unit.")),
            "starts_in": nullable(number(0, 1e9, description="About when it is its turn.")),
        }
    ),
)
TASK = define(
    "Task",
    record(
        {
            **_SUMMARY,
            "payload": VALUE,
            "result": VALUE,
            "rank": {"type": "number"},
            "lane": nullable(record({"id": integer(1), "key": text(200)})),
            "agent": nullable(text(50)),
            "worker": nullable(text(200)),
            "error": nullable(ref(TASK_ERROR)),
            "limits": array(ref(TASK_LIMIT), description="What it waits for, until dispatched."),
            "timeline": array(ref(EVENT)),
        }
    ),
)
TASK_SUBMIT = define(
    "TaskSubmit",
    record(
        {"definition": DEFINITION_NAME},
        {
            "payload": anything(description="Held against the definition's JSON Schema."),
            "version": nullable(integer(1, 2**31 - 1, description="The latest, if left out.")),
            "swarm": nullable(slug()),
            "priority": nullable(PRIORITY),
            "not_before": nullable(moment()),
            "deadline": nullable(moment(description="It expires when not finished by then.")),
            "key": nullable(text(MAX_NAME, shortest=1, description="One live task per key.")),
            "on_conflict": choice("existing", "reject", description="When the key is taken."),
            "lane": nullable(text(MAX_NAME, shortest=1, description="Runs in order with others.")),
            "rank": number(-1e9, 1e9, description="Orders equals within a swarm and priority."),
        },
    ),
)
SUBMISSION = define(
    "TaskSubmission",
    record(
        {
            "id": uuid(),
            "created": boolean(description="False: a live task held the key; this is it."),
        }
    ),
)
TASK_OR_SUBMISSION = define(
    "TaskOrSubmission",
    {
        "description": "The task, when it was waited for; else the live task that held the key.",
        "anyOf": [ref(TASK), ref(SUBMISSION)],
    },
)
TASK_BULK = define(
    "TaskBulk",
    record(
        {"tasks": array(ref(TASK_SUBMIT), most=MAX_BULK, minItems=1)},
        {"partial": boolean(description="Submit the right ones, report the wrong ones.")},
    ),
)
ITEM_ERROR = define(
    "ItemError",
    record({"index": nullable(integer()), "field": text(500), "message": text(1000)}),
)
BULK_ANSWER = define(
    "TaskBulkAnswer",
    record(
        {
            "accepted": integer(description="Tasks that are submitted now."),
            "created": integer(description="Of these, the ones that are new."),
            "tasks": array(nullable(ref(SUBMISSION))),
            "errors": array(ref(ITEM_ERROR)),
        }
    ),
)
CANCEL_ANSWER = define(
    "TaskCancellation",
    record({"id": uuid(), "outcome": choice("cancelled", "requested")}),
)
RETRY_ANSWER = define("TaskRetry", record({"id": uuid(), "outcome": choice("replayed")}))
LOGS = define("TaskLogs", record({"id": uuid(), "status": choice(*Status.values), "log": VALUE}))

_ATTEMPT: dict[str, Schema] = {
    "id": integer(1),
    "task": uuid(),
    "number": integer(),
    "outcome": choice(*Outcome.values),
    "charged": boolean(description="Whether it counts against max_attempts."),
    "started_at": nullable(moment()),
    "ended_at": nullable(moment()),
    "wait_ms": nullable({"type": "number", "description": "Ready to started."}),
    "run_ms": nullable({"type": "number"}),
    "agent": nullable(text(50)),
    "worker": nullable(text(200)),
    "error_type": text(200),
    "error_message": {"type": "string"},
    "progress": nullable({"type": "number"}),
    "note": text(200),
}
ATTEMPT_SUMMARY = define("AttemptSummary", record(_ATTEMPT))
ATTEMPTS = page_of(ATTEMPT_SUMMARY)
ATTEMPT = define(
    "Attempt",
    record({**_ATTEMPT, "traceback": {"type": "string"}, "log": {"type": "string"}}),
)
