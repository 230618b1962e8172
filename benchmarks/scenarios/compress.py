"""Tokens saved by compression, by kind of prompt, and what it costs: every prompt, many times."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.figures import Figure, Findings, median
from benchmarks.prompts import Prompt, prompts
from gateway.compress import compress, protected_spans
from gateway.tokens import count

ROUNDS = 20
MODEL = "gpt-4o"
AGENTS = ("retrieval", "tool result", "chat")


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Share of tokens saved, of protected spans kept, and milliseconds per 1 000 tokens."""
    del tasks  # the prompts are a fixed set
    findings = Findings("compress", "manage.py bench compress --json")
    found = prompts()
    for kind in (*AGENTS, "short question"):
        chosen = [prompt for prompt in found if prompt.kind == kind]
        name = f"saved_{kind.replace(' ', '_')}_percent"
        findings.add(name, Figure(_saved(chosen), "%", len(chosen), 0, f"tokens saved, {kind}"))
    agents = [prompt for prompt in found if prompt.kind in AGENTS]
    note = "tokens saved ÷ tokens before, prompts of agents together"
    findings.add("saved_percent", Figure(_saved(agents), "%", len(agents), 0, note))
    kept, spans = _kept(found)
    findings.add(
        "protected_kept_percent", Figure(kept, "%", spans, 0, "protected spans found again")
    )
    findings.add(
        "ms_per_1000_tokens",
        median(
            _costs(agents, rounds or ROUNDS),
            "ms",
            "CPU time, all agents' prompts, tokenizer included",
        ),
    )
    return findings


def _tokens(text: str) -> int:
    return count(text, MODEL).tokens


def _saved(chosen: Sequence[Prompt]) -> float:
    done = [compress(prompt.turns, _tokens) for prompt in chosen]
    before = sum(shorter.before for shorter in done)
    return 100 * (1 - sum(shorter.after for shorter in done) / before)


def _kept(chosen: Sequence[Prompt]) -> tuple[float, int]:
    """Share of the distinct protected spans of each prompt that it still has, and their number."""
    kept = spans = 0
    for prompt in chosen:
        after = " ".join(turn.text for turn in compress(prompt.turns, _tokens).turns)
        for turn in prompt.turns:
            found = protected_spans(turn.text)
            spans += len(found)
            kept += sum("".join(span.split()) in "".join(after.split()) for span in found)
    return 100 * kept / spans, spans


def _costs(chosen: Sequence[Prompt], rounds: int) -> list[float]:
    tokens = sum(_tokens(turn.text) for prompt in chosen for turn in prompt.turns)
    costs = []
    for _ in range(rounds):
        start = time.process_time()
        for prompt in chosen:
            compress(prompt.turns, _tokens)
        costs.append((time.process_time() - start) * 1e6 / tokens)
    return costs
