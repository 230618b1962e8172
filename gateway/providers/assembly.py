"""The whole answer, put together from the pieces of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.providers.call import Piece, Reply
from gateway.request import FinishReason, Usage


@dataclass(slots=True)
class Assembly:
    """Takes pieces; `reply` is what they say so far."""

    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    cached_tokens: int = 0
    simulated: bool = False
    _tools: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, piece: Piece) -> None:
        """Take one piece."""
        if piece.text:
            self.texts.append(piece.text)
        for fragment in piece.tool_calls:
            self._add_tool(dict(fragment))
        if piece.refusal:
            self.refusals.append(piece.refusal)
        self.simulated = self.simulated or piece.simulated
        self.finish_reason = piece.finish_reason or self.finish_reason
        if piece.usage is not None:
            self.usage, self.cached_tokens = piece.usage, piece.cached_tokens

    @property
    def begun(self) -> bool:
        """Whether anything has been said."""
        return bool(self.texts or self.refusals or self._tools)

    @property
    def reply(self) -> Reply:
        """What was said."""
        return Reply(
            text="".join(self.texts or self.refusals),
            finish_reason=self.finish_reason or "error",
            usage=self.usage,
            cached_tokens=self.cached_tokens,
            tool_calls=tuple(self._tools[index] for index in sorted(self._tools)),
            refused=bool(self.refusals),
            simulated=self.simulated,
        )

    def _add_tool(self, fragment: dict[str, Any]) -> None:
        index = fragment.pop("index", len(self._tools))
        known = self._tools.setdefault(index if isinstance(index, int) else 0, {})
        function = fragment.pop("function", None)
        known.update({name: value for name, value in fragment.items() if value})
        if not isinstance(function, dict):
            return
        told = known.setdefault("function", {"name": "", "arguments": ""})
        for name in ("name", "arguments"):
            told[name] += str(function.get(name) or "")
