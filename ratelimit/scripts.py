"""The Lua scripts: read once, called by digest, sent whole when the server has forgotten them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hiredis

from ratelimit.buckets import Bucket

_HERE = Path(__file__).parent
_PRELUDE = (_HERE / "prelude.lua").read_text(encoding="utf-8")
Word = str | bytes
Left = Callable[[Any, int], Sequence[tuple[Bucket, int]]]
"""Of a reply, and so many microseconds later: what was charged and has not been refilled since."""


@dataclass(frozen=True, slots=True)
class Script:
    """One script with the prelude in front of it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        """A script and the SHA-1 that EVALSHA names it by; it protects nothing here."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts of one build; the tests' build puts a clock of its own behind the prelude."""

    acquire: Script
    adjust: Script
    peek: Script
    slot: Script
    take: Script

    @classmethod
    def build(cls, after_prelude: str = "") -> Scripts:
        """Read every script of this directory."""
        return cls(
            **{
                name: Script.of(_PRELUDE + after_prelude + (_HERE / f"{name}.lua").read_text())
                for name in cls.__slots__
            }
        )


PRODUCTION = Scripts.build()


@dataclass(frozen=True, slots=True)
class Command:
    """One script call, or without a script a plain command whose words are `args`."""

    script: Script | None
    keys: tuple[str, ...]
    args: tuple[Word, ...]
    once: bool = False
    """Not to be sent again while nobody knows whether it was done."""
    left: Left | None = field(default=None, repr=False, compare=False)
    """What is to be given back when the reply came too late for anybody to use it."""
    packed: bytes = field(init=False, repr=False, compare=False)
    """As it is sent, the script by its digest."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", _pack(self.words()))

    def words(self, *, whole: bool = False) -> tuple[Word, ...]:
        """The command by its digest, or with the script's text, which the server then keeps."""
        if self.script is None:
            return self.args
        name, body = ("EVAL", self.script.text) if whole else ("EVALSHA", self.script.sha)
        return (name, body, str(len(self.keys)), *self.keys, *self.args)

    def packed_whole(self) -> bytes:
        """As it is sent to a server that does not know the script."""
        return _pack(self.words(whole=True))


def _pack(words: tuple[Word, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # its stub allows one
    return packed


def plain(key: str, *words: str) -> Command:
    """A command about one key, which says to which node of a cluster it goes."""
    return Command(None, (key,), words)
