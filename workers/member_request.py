"""What ``self.request`` shows in a handler."""

from __future__ import annotations

from typing import Any

from celery.app.task import Context as CeleryRequest

from coordination.lifecycle import Claimed
from coordination.sizing import HARD_GRACE_SECONDS


class MemberRequest(CeleryRequest):
    """Celery's request, without its search for strange headers among fields of our own."""

    def __init__(self, fields: dict[str, Any]) -> None:
        vars(self).update(fields)


def request_for(
    task: Claimed, kwargs: dict[str, Any], limit: float, *, plain: bool
) -> MemberRequest:
    """The request of one execution; `plain` if the handler is run without its ``__call__``."""
    hard = limit + HARD_GRACE_SECONDS
    return MemberRequest(
        {
            "id": task.id.hex,
            "root_id": (task.run_id or task.id).hex,
            "args": [],
            "kwargs": kwargs,
            "retries": task.attempt,
            "called_directly": False,
            "is_eager": True,  # self.retry() then raises and publishes nothing
            "hostname": "ansf",
            "timelimit": [hard, limit],
            "time_limit": hard,
            "soft_time_limit": limit,
            "delivery_info": {"routing_key": "ansf"},
            "_protected": plain,  # a handler that calls itself gets another request for that
        }
    )
