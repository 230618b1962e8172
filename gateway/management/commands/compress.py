"""``compress``: a prompt with fewer tokens, on stdout; what was saved, on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from ansf_platform import terminal
from ansf_platform.terminal import Exit, Failure, Usage
from gateway.compress import Compressed, Options, Turn, compress
from gateway.tokens import count

MOST_BYTES = 4_000_000


class Command(terminal.Command):
    """Compress one prompt: plain text, or a chat as JSON."""

    help = "Shorten a prompt without losing what is protected."

    def declare(self, parser: CommandParser) -> None:
        parser.add_argument("file", help='Text, or JSON [{"role", "content"}, …]; - is stdin.')
        parser.add_argument("--model", default="gpt-4o", help="Whose tokens; default gpt-4o.")
        parser.add_argument("--budget", type=int, help="Tokens to come down to.")
        parser.add_argument("--query", help="What is relevant; default the last user turn.")
        parser.add_argument("--examples", type=int, help="Few-shot examples to keep.")

    def act(self, options: dict[str, Any]) -> None:
        """Print the shorter prompt; exit 3 if it does not fit the budget."""
        for name in ("budget", "examples"):
            if options[name] is not None and options[name] < 0:
                raise Usage(f"--{name} is negative: give 0 or more")
        turns, is_chat = _turns(_read(options["file"]))
        chosen = Options(options["budget"], options["query"], options["examples"])
        shorter = compress(turns, lambda text: count(text, options["model"]).tokens, chosen)
        exact = count("", options["model"]).exact
        if self.screen.as_json:
            self.screen.json(_report(shorter, exact=exact))
        else:
            written = _chat(shorter) if is_chat else shorter.turns[0].text
            self.stdout.write(written, ending="" if written.endswith("\n") else "\n")
            counted = "tokens" if exact else "tokens (estimated)"
            self.screen.note(
                f"{shorter.before} {counted} → {shorter.after}, {shorter.saved:.0%} less"
            )
        if not shorter.within_budget:
            raise Failure(
                f"{shorter.after} tokens are left: what is protected does not fit the budget",
                Exit.THRESHOLD,
            )


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read(MOST_BYTES + 1) if name == "-" else _head(Path(name))
        text = raw.decode("utf-8")
    except OSError as error:
        raise Usage(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Usage(f"{name} is not UTF-8 (byte {error.start}): convert it first") from error
    if len(raw) > MOST_BYTES:
        raise Usage(f"{name} is larger than {MOST_BYTES} bytes: split it")
    return text


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _turns(text: str) -> tuple[list[Turn], bool]:
    """The chat in `text`, or all of it as one turn of the user."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [Turn("user", text)], False
    if isinstance(value, dict):
        value = value.get("messages")
    if not isinstance(value, list) or not value or not all(map(_is_message, value)):
        return [Turn("user", text)], False
    return [Turn(message["role"], message["content"]) for message in value], True


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


def _messages(shorter: Compressed) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.text} for turn in shorter.turns]


def _chat(shorter: Compressed) -> str:
    return json.dumps(_messages(shorter), ensure_ascii=False, indent=2)


def _report(shorter: Compressed, *, exact: bool) -> dict[str, Any]:
    return {
        "messages": _messages(shorter),
        "tokens_before": shorter.before,
        "tokens_after": shorter.after,
        "saved": round(shorter.saved, 4),
        "exact": exact,
        "within_budget": shorter.within_budget,
    }
