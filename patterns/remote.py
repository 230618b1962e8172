"""Asking another host: an answer in time, of bounded size, or an error that says which host."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
from django.conf import settings

from patterns.errors import NotFound, Unreachable, wrong

TIMEOUT_S = 10.0
"""For the whole answer."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_STATUS: Mapping[int, str] = {
    httpx.codes.UNAUTHORIZED: "it does not know ANSF_PATTERN_TOKEN",
    httpx.codes.FORBIDDEN: "ANSF_PATTERN_TOKEN lacks the scope patterns:read there",
}
_UNDERSTOOD = (httpx.codes.OK, httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY)


def post(url: str, body: dict[str, Any], host: str) -> dict[str, Any]:
    """The object that is answered. Raises NotFound, Invalid, Unreachable."""
    headers = {"Authorization": f"Bearer {settings.ANSF['PATTERN_TOKEN']}"}
    try:
        with httpx.stream("POST", url, json=body, headers=headers, timeout=TIMEOUT_S) as answer:
            told = _object(answer.status_code, _read(answer))
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise Unreachable(f"{host} does not answer the question: {error}") from error
    detail = f"{host}: {told.get('detail')}"
    match answer.status_code:
        case httpx.codes.NOT_FOUND:
            raise NotFound(detail)
        case httpx.codes.UNPROCESSABLE_ENTITY:
            raise wrong("", detail)
    return told


def _object(status: int, raw: bytes) -> dict[str, Any]:
    """What was found, or refused. Raises ValueError for all else."""
    if status not in _UNDERSTOOD:
        raise ValueError(_STATUS.get(status, f"status {status}"))
    told = json.loads(raw)
    if not isinstance(told, dict):
        raise ValueError("no object")  # noqa: TRY004 - one kind of mistake for all
    return told


def _read(answer: httpx.Response) -> bytes:
    """The body. Raises ValueError when it is too large or too slow."""
    until = time.monotonic() + TIMEOUT_S
    parts, size = [], 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise ValueError(f"more than {MAX_ANSWER_BYTES >> 20} MB")
        if time.monotonic() > until:
            raise ValueError(f"not all of it within {TIMEOUT_S:g} s")
    return b"".join(parts)
