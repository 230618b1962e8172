"""Lines of several programs in one stream, each behind the name of who said it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import IO, TextIO

_COLOURS = ("36", "32", "33", "35", "34", "96", "92", "93", "95", "94")  # no red: it means an error
_LINE_BYTES = 64 * 1024  # a program that never ends its line must not fill our memory


class LogLines:
    """Writes `name | line`, coloured per name on a terminal, plain otherwise or with NO_COLOR."""

    def __init__(self, sink: TextIO, names: Sequence[str]) -> None:
        self._sink = sink
        self._width = max(map(len, names), default=0)
        self._colours = {name: _COLOURS[n % len(_COLOURS)] for n, name in enumerate(names)}
        self._coloured = _wants_colour(sink)
        self._lock = threading.Lock()

    def write(self, name: str, text: str) -> None:
        """Write every line of the text behind the name."""
        prefix = self._prefix(name)
        lines = "".join(f"{prefix} {line}\n" for line in text.splitlines() or [""])
        # A closed pipe (`up | head`) must not end the programs whose words nobody reads.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._sink.write(lines)
            self._sink.flush()

    def pump(self, name: str, stream: IO[bytes]) -> threading.Thread:
        """Write what comes from the stream until it ends, in a thread of its own."""
        thread = threading.Thread(
            target=self._drain, args=(name, stream), name=f"log of {name}", daemon=True
        )
        thread.start()
        return thread

    def _drain(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_LINE_BYTES):
                self.write(name, line.decode(errors="replace").rstrip("\r\n"))

    def _prefix(self, name: str) -> str:
        padded = f"{name:<{self._width}} |"
        if not self._coloured:
            return padded
        return f"\x1b[{self._colours.get(name, '1')}m{padded}\x1b[0m"


def _wants_colour(sink: TextIO) -> bool:
    return sink.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
