"""How many tokens a call's prompt has for each model, corrected by what providers have reported."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from gateway.models import LanguageModel
from gateway.pipe.exchange import Exchange
from gateway.prompts import Reader, Size, size_of
from gateway.providers.call import Reply
from gateway.request import Usage
from gateway.tokens import UNCALIBRATED, Calibration, count

_MOST_REMEMBERED = 1_000
_FEWEST_TOKENS = 50
"""Of a prompt that is learned from: in shorter ones a provider's own preamble weighs most."""
_MOST_TOKENS = 20_000
"""Likewise: longer ones tell no more and are not counted again."""


class Calibrations:
    """What each model's reported usage says about the rule, in this process; bounded."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[str, Calibration] = {}

    def of(self, upstream: str) -> Calibration:
        """What was learned of a model."""
        return self._found.get(upstream, UNCALIBRATED)

    def learn(self, upstream: str, estimated: int, reported: int) -> None:
        """One more report."""
        with self._lock:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            self._found[upstream] = self.of(upstream).learned(estimated, reported)


CALIBRATIONS = Calibrations()


def size(x: Exchange, row: LanguageModel) -> Size:
    """The prompt as it is sent, as the model behind a row counts it."""
    return _raw(x, row.upstream).scaled(CALIBRATIONS.of(row.upstream))


def sizes(x: Exchange, rows: Iterable[LanguageModel]) -> dict[str, Size]:
    """The same for many models, by name; those that count alike are counted for once."""
    counted: dict[Reader, Size] = {}
    found = {}
    for row in rows:
        reader = Reader.of(row.upstream)
        if reader not in counted:
            counted[reader] = _raw(x, row.upstream)
        found[row.name] = counted[reader].scaled(CALIBRATIONS.of(row.upstream))
    return found


def tokens_of(text: str, row: LanguageModel) -> int:
    """Of a text alone."""
    return count(text, row.upstream, CALIBRATIONS.of(row.upstream)).tokens


def learn(x: Exchange, row: LanguageModel, reply: Reply, believed: Usage) -> None:
    """Take a provider's count of a prompt of plain turns, if it is believed, to correct ours."""
    if reply.usage is not believed or reply.simulated or Reader.of(row.upstream).vocabulary:
        return
    if x.request.tools or x.request.response_format or x.tokens_in > _MOST_TOKENS:
        return
    if any(turn.parts or turn.tool_calls for turn in x.prompt):
        return
    estimated = _raw(x, row.upstream).tokens
    if estimated >= _FEWEST_TOKENS:
        CALIBRATIONS.learn(row.upstream, estimated, believed.prompt_tokens)


def _raw(x: Exchange, upstream: str) -> Size:
    return size_of(x.prompt, upstream, x.request.tools, x.request.response_format)
