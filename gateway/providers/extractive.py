"""A provider without a model: the sentences of the context that share most with the question.

For first steps, tests and demonstrations: local, deterministic, free. Everything it says is
marked `simulated`, because no model said it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence

from gateway.providers.call import Call, Piece, Reply
from gateway.request import Message, Usage
from gateway.tokens import count, count_messages

SENTENCES = 3
MOST_READ = 2_000
"""Sentences of the context; those beyond are not looked at."""
NOTHING = "The context that was given says nothing about this."
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s)[^.!?\n]*)*[.!?]?")
_WORD = re.compile(r"\w+")
_SHORT = 3
"""Letters: shorter words say little."""


class Extractive:
    """The provider."""

    def complete(self, call: Call) -> Reply:
        text = extract(call.messages)
        limit = call.max_tokens
        words = text.split(" ")
        finish = "stop"
        if limit is not None and count(text).tokens > limit:
            finish = "length"
            while len(words) > 1 and count(" ".join(words)).tokens > limit:
                words.pop()
        text = " ".join(words)
        prompt = count_messages(message.content for message in call.messages).tokens
        return Reply(
            text=text,
            finish_reason="length" if finish == "length" else "stop",
            usage=Usage(prompt, count(text).tokens),
            simulated=True,
        )

    def stream(self, call: Call) -> Generator[Piece, None, None]:
        reply = self.complete(call)
        for number, word in enumerate(reply.text.split(" ")):
            yield Piece(text=word if number == 0 else f" {word}", simulated=True)
        yield Piece(finish_reason=reply.finish_reason, usage=reply.usage, simulated=True)

    async def acomplete(self, call: Call) -> Reply:
        return self.complete(call)

    async def astream(self, call: Call) -> AsyncGenerator[Piece, None]:
        for piece in self.stream(call):
            yield piece


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
    asked = [message.content for message in messages if message.role == "user"]
    said = [message.content for message in messages]
    own = [found.strip() for found in _SENTENCE.findall(asked[-1])] if asked else []
    own = [sentence for sentence in own if sentence]
    question = next((one for one in reversed(own) if one.endswith("?")), own[-1] if own else "")
    sentences = [found.strip() for text in said for found in _SENTENCE.findall(text)]
    kept = dict.fromkeys(one for one in sentences if one and one != question)
    return question, list(kept)[:MOST_READ]


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= _SHORT}


def _score(asked: set[str], sentence: str, spread: Counter[str], total: int) -> float:
    words = _words(sentence)
    shared = sum(math.log(1 + total / (1 + spread[word])) for word in asked & words)
    return shared / math.sqrt(1 + len(words))
