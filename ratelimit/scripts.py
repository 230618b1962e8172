"""The Lua scripts: loaded once, called by digest, sent whole when the server forgot them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_PRELUDE = (_HERE / "prelude.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Script:
    """One script with the prelude in front of it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        # SHA-1 is what EVALSHA names a script by; it protects nothing here.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts of one build; the tests' build puts a clock of its own behind the prelude."""

    acquire: Script
    adjust: Script
    peek: Script
    take: Script
    slot: Script

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
    """One script call, or with no script the plain command in `args`."""

    script: Script | None
    keys: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    def words(self, *, whole: bool = False) -> tuple[str, ...]:
        """The command as it is sent: by digest, or with the script's text."""
        if self.script is None:
            return self.args
        name, body = ("EVAL", self.script.text) if whole else ("EVALSHA", self.script.sha)
        return (name, body, str(len(self.keys)), *self.keys, *self.args)
