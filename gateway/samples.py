"""Labelled questions in files of JSON lines: pairs to judge the cache by, and streams to replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

LONGEST_LINE = 65_536
"""Characters."""

MOST_LINES = 200_000

Sampled = TypeVar("Sampled")


class BadSample(ValueError):
    """A file or a line of it cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two questions, and whether one answer serves both."""

    a: str
    b: str
    same_answer: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question of a stream; questions of one group have the same answer."""

    prompt: str
    group: str


def read_pairs(path: Path) -> list[LabelledPair]:
    """The lines ``{"a": …, "b": …, "same_answer": …}`` of a file. Raises BadSample."""
    return read_lines(path, _pair)


def read_prompts(path: Path) -> list[Prompt]:
    """The lines ``{"prompt": …, "group": …}`` of a file. Raises BadSample."""
    return read_lines(path, _prompt)


def read_lines(path: Path, parse: Callable[[Any], Sampled]) -> list[Sampled]:
    """Each line of JSON, parsed; `parse` raises TypeError or ValueError. Raises BadSample."""
    found = []
    for number, line in _lines(path):
        try:
            found.append(parse(json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise BadSample(f"{path}, line {number}: {error}") from error
    if not found:
        raise BadSample(f"{path} has no lines: write one JSON object a line")
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise BadSample(f"{path}, line {number}: longer than {LONGEST_LINE} characters")
                if number > MOST_LINES:
                    raise BadSample(f"{path} has more than {MOST_LINES} lines: split it")
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise BadSample(f"{path} is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise BadSample(f"{path} cannot be read: {error.strerror}") from error


def _pair(value: Any) -> LabelledPair:
    if not isinstance(_object(value).get("same_answer"), bool):
        raise TypeError("same_answer is not true or false")
    return LabelledPair(_text(value, "a"), _text(value, "b"), value["same_answer"])


def _prompt(value: Any) -> Prompt:
    group = _object(value).get("group")
    if not isinstance(group, str | int):
        raise TypeError("group is neither a text nor a number")
    return Prompt(_text(value, "prompt"), str(group))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("it is not a JSON object")
    return value


def _text(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise TypeError(f"{name} is not a text")
    # A lone surrogate is valid JSON and no tokenizer takes it.
    return text.encode("utf-8", "replace").decode("utf-8")
