"""Text that every database keeps: PostgreSQL has neither U+0000 nor half of a surrogate pair."""

from __future__ import annotations

NUL = "\x00"
REPLACEMENT = "\ufffd"


def is_storable(text: str) -> bool:
    """Whether a database gives the text back as it was."""
    return NUL not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def made_storable(text: str) -> str:
    """The text with what cannot be kept replaced."""
    return text.replace(NUL, REPLACEMENT).encode("utf-8", "replace").decode("utf-8")
