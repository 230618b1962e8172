"""Probe of an HTTP address: status, optional text, time; redirects are judged like targets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from ansf_platform import retrieval
from ansf_platform.retrieval import Answer, Place
from healthchecks.monitor import State
from healthchecks.probes.measurement import (
    Measurement,
    Probe,
    Subject,
    TargetInvalid,
    above,
    may_reach_private,
    settings_of,
    threshold,
)

REDIRECTS = 3
BODY_BYTES = 64 * 1024

PARAMS: Mapping[str, Any] = {
    "status": {
        "type": "array",
        "items": {"type": "integer", "minimum": 100, "maximum": 599},
        "minItems": 1,
        "maxItems": 20,
        "default": [200],
        "description": "Statuses that are ok, after redirects.",
    },
    "contains": {
        "type": "string",
        "maxLength": 200,
        "default": "",
        "description": "Text that the first 64 kB of the body must contain.",
    },
    "degraded_ms": threshold(2000, "Degraded when the answer takes longer."),
    "redirects": {
        "type": "integer",
        "minimum": 0,
        "maximum": REDIRECTS,
        "default": REDIRECTS,
        "description": "Redirects to follow.",
    },
}


HEADERS = {"User-Agent": "ansf-healthcheck/1", "Accept": "*/*"}


def split_url(url: str) -> Place:
    """Take a URL apart. Raises TargetInvalid."""
    try:
        return retrieval.split_url(url)
    except retrieval.UrlRefused as error:
        raise TargetInvalid(str(error)) from error


def _validate(target: str) -> None:
    split_url(target)


def measure(check: Subject, _now: datetime) -> Measurement:
    """GET the target; the value is the time until the answer was complete."""
    wanted = settings_of(check, PARAMS)
    start = time.monotonic()
    private = may_reach_private(check)
    until = start + check.timeout_seconds
    answer = follow(check.target, redirects=wanted["redirects"], private=private, until=until)
    took_ms = (time.monotonic() - start) * 1000
    return judge(answer, took_ms, wanted)


def judge(answer: Answer, took_ms: float, wanted: Mapping[str, Any]) -> Measurement:
    """What an answer means for a check with these parameters."""
    said = f"answered {answer.status} in {took_ms:.0f} ms"
    if answer.status not in wanted["status"]:
        expected = ", ".join(map(str, wanted["status"]))
        message = f"{said}, expected {expected}"
        return Measurement(State.FAILED, message, took_ms, "ms", "look at the log of that service")
    if wanted["contains"].encode() not in answer.body:
        message = f"{said} without the text {wanted['contains']!r}"
        return Measurement(State.FAILED, message, took_ms, "ms", "look at what the page shows")
    state = above(took_ms, wanted["degraded_ms"], float("inf"))
    return Measurement(state, said, took_ms, "ms", "look at the load of that service")


def follow(url: str, *, redirects: int, private: bool, until: float) -> Answer:
    """GET a URL and what it redirects to, each hop resolved and judged anew.

    Raises OSError (AddressRefused, TooLate among them), http.client.HTTPException, TargetInvalid.
    """
    for hops_left in range(redirects, -1, -1):
        answer = get(split_url(url), private=private, until=until)
        if not answer.location or not hops_left:
            return answer
        url = urljoin(url, answer.location)
    raise AssertionError("the last hop returns")


def get(place: Place, *, private: bool, until: float) -> Answer:
    """One request; of the body no more than the first 64 kB."""
    return retrieval.get(
        place,
        private=private,
        until=until,
        headers=HEADERS,
        read=lambda response: response.read(BODY_BYTES),
    )


HTTP = Probe(measure, "an HTTP address answers as expected", PARAMS, _validate, for_tenants=True)
