"""How many tokens a whole prompt has: its turns, and all that is sent beside their texts. Pure.

Exact for chats of text in a known vocabulary, by the rule that OpenAI publishes. Tools, schemas,
calls, pictures and files are put into words in ways that providers do not publish: their JSON is
counted, which is longer than what becomes of it, and whatever is not exact has a margin
(:attr:`Size.upper`) where money and room are reserved for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.request import Json, Message
from gateway.tokens import (
    MESSAGE_OVERHEAD,
    REPLY_OVERHEAD,
    Calibration,
    count,
    vocabulary_of,
)

MARGIN = 1.1
"""By which a count that is not exact is enlarged: the rule errs by less for most texts."""
PICTURES = {"low": 85, "high": 1_445}
"""Tokens of a picture by its detail: what OpenAI's models take for one of the largest in tiles;
Anthropic's take as much."""
PICTURES_MINI = {"low": 2_833, "high": 48_169}
"""The same for `gpt-4o-mini`, whose tiles count 33 times as much."""
_PICTURES = frozenset({"image_url", "image", "input_image"})
_LONG = 512
"""Characters of a part without a blank from which it is data and no text."""
_DATA_PER_TOKEN = 64
"""Base64 characters of sound and files for one token; no provider takes more for either."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What a count depends on: models with equal readers count alike."""

    vocabulary: str | None
    """None: estimated by the rule."""
    mini: bool
    """Whether pictures count as :data:`PICTURES_MINI` says."""

    @classmethod
    def of(cls, model: str) -> Reader:
        """How the model of this name reads."""
        mini = model.rpartition("/")[2].casefold().startswith("gpt-4o-mini")
        return cls(vocabulary_of(model), mini)


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of a prompt."""

    texts: int
    """Of what the turns say: this is what compression shortens."""
    rest: int
    """Of everything else."""
    exact: bool

    @property
    def tokens(self) -> int:
        """All of them, as likely as can be told."""
        return self.texts + self.rest

    @property
    def upper(self) -> int:
        """What to reserve: with the margin, unless the count is exact."""
        return self.tokens if self.exact else math.ceil(self.tokens * MARGIN)

    def within(self, budget: int | None) -> Size:
        """Once its texts are shortened to a budget; None: they are not."""
        if budget is None or self.texts <= budget:
            return self
        return Size(budget, self.rest, self.exact)

    def scaled(self, calibration: Calibration) -> Size:
        """As a model counts whose reports were learned from; an exact count stays."""
        if self.exact:
            return self
        factor = calibration.factor
        return Size(round(self.texts * factor), round(self.rest * factor), exact=False)


def size_of(
    messages: Iterable[Message],
    model: str,
    tools: Iterable[Mapping[str, Json]] = (),
    response_format: Mapping[str, Json] | None = None,
) -> Size:
    """The tokens of a prompt as `model` reads it, before any calibration."""
    turns = tuple(messages)
    reader = Reader.of(model)
    beside = [*tools, *(call for turn in turns for call in turn.tool_calls)]
    if response_format is not None and response_format.get("type") != "text":
        beside.append(response_format)
    parts = [part for turn in turns for part in turn.parts if part.get("type") != "text"]
    said = "".join(turn.tool_call_id or "" for turn in turns)
    rest = REPLY_OVERHEAD + MESSAGE_OVERHEAD * len(turns) + count(said, model).tokens
    rest += sum(1 + count(turn.name, model).tokens for turn in turns if turn.name)
    rest += sum(count(_json(each), model).tokens for each in beside)
    rest += sum(_of_part(part, model, reader) for part in parts)
    texts = sum(count(turn.content, model).tokens for turn in turns)
    exact = reader.vocabulary is not None and not (beside or parts or said)
    return Size(texts, rest, exact)


def _of_part(part: Mapping[str, Json], model: str, reader: Reader) -> int:
    if part.get("type") in _PICTURES:
        pictured = part.get("image_url")
        low = isinstance(pictured, dict) and pictured.get("detail") == "low"
        return (PICTURES_MINI if reader.mini else PICTURES)["low" if low else "high"]
    told = _json(part)
    if len(told) > _LONG and " " not in told[-_LONG:]:
        return len(told) // _DATA_PER_TOKEN
    return count(told, model).tokens


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)
