"""A provider without a model: the sentences of the context that share most with the question.

For first steps, tests and demonstrations: local, deterministic, free. Everything it says is
marked `simulated`, because no model said it.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence

from gateway.providers.call import Call, Piece, Reply
from gateway.request import Message, Usage
from gateway.threads import in_thread
from gateway.tokens import count, count_messages

SENTENCES = 3
MOST_READ = 2_000
"""Sentences of the context; those beyond are not looked at."""
LONGEST_READ = 400_000
"""Characters of the context that are looked at; the question is sought in the last ones."""
LONGEST_SENTENCE = 1_000
"""Characters; what has no full stop for longer is cut into parts of this length."""
NOTHING = "The context that was given says nothing about this."
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s)[^.!?\n]*)*[.!?]?")
_WORD = re.compile(r"\w+")
_SHORT = 3
"""Letters: shorter words say little."""


class Extractive:
    """The provider. What it reads is bounded: an answer takes some 50 ms of a thread at most."""

    def complete(self, call: Call) -> Reply:
        text, whole = _cut(extract(call.messages), call.max_tokens)
        prompt = count_messages(message.content for message in call.messages).tokens
        return Reply(
            text=text,
            finish_reason="stop" if whole else "length",
            usage=Usage(prompt, count(text).tokens),
            simulated=True,
        )

    def stream(self, call: Call) -> Generator[Piece, None, None]:
        yield from _pieces(self.complete(call))

    async def acomplete(self, call: Call) -> Reply:
        return await in_thread(self.complete, call)

    async def astream(self, call: Call) -> AsyncGenerator[Piece, None]:
        for piece in _pieces(await self.acomplete(call)):
            yield piece


def _pieces(reply: Reply) -> Iterator[Piece]:
    for number, word in enumerate(reply.text.split(" ")):
        yield Piece(text=word if number == 0 else f" {word}", simulated=True)
    yield Piece(finish_reason=reply.finish_reason, usage=reply.usage, simulated=True)


def _cut(text: str, most: int | None) -> tuple[str, bool]:
    """As many words as `most` tokens have room for, at least one; and whether that is all."""
    if most is None or count(text).tokens <= most:
        return text, True
    words = text.split(" ")
    fitting = bisect_right(
        range(1, len(words)), most, key=lambda number: count(" ".join(words[:number])).tokens
    )
    return " ".join(words[: max(1, fitting)]), False


def extract(messages: Sequence[Message]) -> str:
    """The sentences before the last question that fit it best, in their order."""
    question, sentences = _taken_apart(messages)
    asked = _words(question)
    spread = Counter(word for sentence in sentences for word in _words(sentence))
    scored = [
        (_score(asked, sentence, spread, len(sentences)), -number, sentence)
        for number, sentence in enumerate(sentences)
    ]
    best = sorted((each for each in scored if each[0] > 0), reverse=True)[:SENTENCES]
    return " ".join(sentence for _, _, sentence in sorted(best, key=lambda s: -s[1])) or NOTHING


def _taken_apart(messages: Sequence[Message]) -> tuple[str, list[str]]:
    asked = next((each.content for each in reversed(messages) if each.role == "user"), "")
    own = list(_sentences(asked[-LONGEST_READ:]))
    question = next((one for one in reversed(own) if one.endswith("?")), own[-1] if own else "")
    kept = dict.fromkeys(one for text in _read(messages) for one in _sentences(text))
    kept.pop(question, None)
    return question, list(kept)[:MOST_READ]


def _read(messages: Sequence[Message]) -> Iterator[str]:
    """The texts of the turns, until enough is read."""
    left = LONGEST_READ
    for message in messages:
        yield message.content[:left]
        left -= len(message.content)
        if left <= 0:
            return


def _sentences(text: str) -> Iterator[str]:
    for found in _SENTENCE.finditer(text):
        sentence = found.group().strip()
        for start in range(0, len(sentence), LONGEST_SENTENCE):
            yield sentence[start : start + LONGEST_SENTENCE]


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= _SHORT}


def _score(asked: set[str], sentence: str, spread: Counter[str], total: int) -> float:
    words = _words(sentence)
    shared = sum(math.log(1 + total / (1 + spread[word])) for word in asked & words)
    return shared / math.sqrt(1 + len(words))
