"""``llm.complete``: calls of models through the gateway, many of them in one task.

Each call is a body as `/v1/chat/completions` takes it (`model` may be missing: the router
chooses), or just a `prompt`. Calls are limited, cached, routed and paid one by one; the result has
an answer or an error for each, in their order. The task fails only when no call was answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import shared_task

from gateway.errors import GatewayError, Refused
from gateway.openai_api import reading, writing
from gateway.pipe.batch import MOST_PARALLEL, Batch, Outcome, Stopped, complete_many
from gateway.request import Answer, Request
from workers.context import Cancelled, Context, GiveUp, current

MOST_CALLS = 1_000
MARGIN_S = 1.0
"""Left of the task's time for writing its result down."""
SCHEMAS: dict[str, dict[str, Any]] = {
    "llm.complete": {
        "type": "object",
        "required": ["calls"],
        "additionalProperties": False,
        "properties": {
            "calls": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_CALLS,
                "items": {
                    "type": "object",
                    "properties": {
                        "prompt": {"type": "string"},
                        "messages": {"type": "array", "minItems": 1},
                        "model": {"type": "string", "maxLength": 100},
                    },
                },
            },
            "parallel": {"type": "integer", "minimum": 1, "maximum": MOST_PARALLEL},
        },
    },
}


@shared_task(name="llm.complete")
def complete(calls: list[dict[str, Any]], parallel: int = 8) -> dict[str, Any]:
    """Answers to all calls; what each and all together cost, in nano-dollars."""
    context = current()
    requests = [_request(call, number, context) for number, call in enumerate(calls)]
    batch = Batch(
        parallel=parallel,
        seconds=max(MARGIN_S, context.seconds_left - MARGIN_S),
        stop=lambda: context.cancelled,
        done=lambda done, total: context.progress(done / total, f"{done} of {total} calls"),
        request_id=f"{context.task_id.hex}-{context.attempt}-{context.fence}",
    )
    try:
        outcomes = complete_many(requests, batch)
    except Stopped as error:
        raise Cancelled from error
    return _told(outcomes)


def _request(call: Mapping[str, Any], number: int, context: Context) -> Request:
    subject = context.limits.subject
    body = {"model": reading.AUTO, **call}
    prompt = body.pop("prompt", None)
    if prompt is not None and "messages" not in body:
        body["messages"] = [{"role": "user", "content": prompt}]
    try:
        request = reading.request_of(body | {"stream": False}, subject.tenant or "")
    except Refused as error:
        raise GiveUp(f"call {number}: {error.message}") from error
    return replace(request, swarm=subject.swarm, agent=subject.agent, definition=subject.definition)


def _told(outcomes: list[Outcome]) -> dict[str, Any]:
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, GatewayError)]
    if not answers:
        worst = failed[0]
        if worst.status < 500 and worst.status != 429:  # noqa: PLR2004 - HTTP's classes
            raise GiveUp(worst.message) from worst
        raise worst
    return {
        "answers": [_one(outcome) for outcome in outcomes],
        "answered": len(answers),
        "failed": len(failed),
        "cost_nanodollars": sum(answer.cost_nanodollars for answer in answers),
        "saved_nanodollars": sum(answer.saved_nanodollars for answer in answers),
    }


def _one(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, GatewayError):
        return writing.failure(outcome)
    told = writing.told(outcome) | {
        "text": outcome.text,
        "model": outcome.model,
        "finish_reason": outcome.finish_reason,
        "usage": writing.usage(outcome.usage),
    }
    if outcome.tool_calls:
        told["tool_calls"] = [dict(call) for call in outcome.tool_calls]
    return told
