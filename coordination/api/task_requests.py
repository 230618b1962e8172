"""Tasks as a body asks for them, checked by hand.

The schema ``TaskSubmit`` says the same (a test holds the two together), but a validator of JSON
Schema takes longer for 10 000 items than the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansf_platform.schemas import SLUG, parse_moment
from coordination.api.task_schemas import MAX_NAME
from coordination.errors import ItemError
from coordination.requests import TaskRequest

# ruff: noqa: TRY004 - a wrong type in a body is the caller's ValueError, not ours

Check = Callable[[Any], Any]
_SLUG_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
LARGEST_VERSION = 2**31 - 1
LARGEST_RANK = 1e9


def _text(longest: int) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a string")
        if not 0 < len(value) <= longest:
            raise ValueError(f"must have 1 to {longest} characters")
        return value

    return check


def _slug(value: Any) -> str:
    text: str = _text(50)(value)
    if not _SLUG_LETTERS.issuperset(text):
        raise ValueError(f"must match {SLUG}")
    return text


def _integer(least: int, most: int) -> Check:
    def check(value: Any) -> int:
        # In JSON 5.0 is an integer as well.
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise ValueError("must be an integer")
        if not least <= value <= most:
            raise ValueError(f"must be {least} to {most}")
        return int(value)

    return check


def _rank(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    if not -LARGEST_RANK <= value <= LARGEST_RANK:
        raise ValueError(f"must be {-LARGEST_RANK:.0f} to {LARGEST_RANK:.0f}")
    return float(value)


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return parse_moment(value)


def _object(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("must be an object: its members become arguments")
    return value


def _on_conflict(value: Any) -> str:
    if value not in {"existing", "reject"}:
        raise ValueError("must be 'existing' or 'reject'")
    return str(value)


CHECKS: dict[str, Check] = {
    "definition": _text(100),
    "payload": _object,
    "version": _integer(1, LARGEST_VERSION),
    "swarm": _slug,
    "priority": _integer(0, 9),
    "not_before": _moment,
    "deadline": _moment,
    "key": _text(MAX_NAME),
    "on_conflict": _on_conflict,
    "lane": _text(MAX_NAME),
    "rank": _rank,
}
NULLABLE = frozenset({"version", "swarm", "priority", "not_before", "deadline", "key", "lane"})


def read_one(item: Any, index: int | None = None) -> tuple[TaskRequest | None, list[ItemError]]:
    """The request that an item makes, or everything wrong with its form."""
    if not isinstance(item, dict):
        return None, [ItemError(index, "", "must be an object")]
    fields: dict[str, Any] = {}
    errors: list[ItemError] = []
    for name, value in item.items():
        check = CHECKS.get(name)
        if check is None:
            errors.append(ItemError(index, f"/{name}"[:100], "is not known here"))
        elif value is None and name in NULLABLE:
            continue
        else:
            try:
                fields[name] = check(value)
            except (ValueError, TypeError) as error:
                errors.append(ItemError(index, f"/{name}", str(error)))
    if "definition" not in item:
        errors.append(ItemError(index, "/definition", "is missing"))
    return (None, errors) if errors else (TaskRequest(**fields), [])


def read_many(items: Sequence[Any]) -> tuple[dict[int, TaskRequest], list[ItemError]]:
    """The requests of a bulk by their position, and what is wrong with the others."""
    requests: dict[int, TaskRequest] = {}
    errors: list[ItemError] = []
    for index, item in enumerate(items):
        request, wrong = read_one(item, index)
        if request is None:
            errors += wrong
        else:
            requests[index] = request
    return requests, errors
