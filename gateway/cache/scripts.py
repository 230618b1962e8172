"""The Lua scripts of the cache: read once, called by digest, sent whole to who forgot them."""

from __future__ import annotations

from pathlib import Path

from ratelimit.scripts import Script

_HERE = Path(__file__).parent
_PRELUDE = (_HERE / "prelude.lua").read_text(encoding="utf-8")


def _script(name: str) -> Script:
    return Script.of(_PRELUDE + (_HERE / f"{name}.lua").read_text(encoding="utf-8"))


FIND = _script("find")
FLIGHT = _script("flight")
INVALIDATE = _script("invalidate")
LOOK = _script("look")
MISS = _script("miss")
PURGE = _script("purge")
REPORT = _script("report")
SERVE = _script("serve")
STORE = _script("store")
