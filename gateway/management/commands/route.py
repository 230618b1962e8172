"""``route``: explain a decision, train the learned probability, read a price table."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from ansf_platform import terminal
from ansf_platform.accounts.models import Tenant
from ansf_platform.terminal import Exit, Failure, Usage
from gateway import catalogue, definitions, sufficiency
from gateway.errors import GatewayError
from gateway.models import LanguageModel, TaskClass
from gateway.prices import BadTable, Difference, differences, read_table
from gateway.prompts import size_of
from gateway.request import Message
from gateway.router import Candidate, Needs, NoRoute, Option, dollars, route
from gateway.routing import judging, training
from gateway.routing.sufficiency import BadModel, Sufficiency
from gateway.routing.training import BadOutcomes
from gateway.tokens import count_messages
from ratelimit.definitions import COMMAND
from ratelimit.errors import PolicyError

MOST_BYTES = 4_000_000
MOST_TOLD = 50


class Command(terminal.Command):
    """Explain, train, prices."""

    help = "Say which model would answer and why; learn from outcomes; read prices."
    refusals: ClassVar[tuple[type[Exception], ...]] = (
        BadOutcomes, BadModel, BadTable, GatewayError, PolicyError,
    )  # fmt: skip

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        _needs(verb("explain", self.explain_route, "Which model would answer a prompt, and why."))
        trained = verb("train", self.train, "Learn when a cheap model suffices.")
        trained.add_argument(
            "file", type=Path, help="CSV (or .gz): bench, prompt, WEAK_correct, STRONG_correct."
        )
        trained.add_argument("--label", default="local", help="Version of the model.")
        trained.add_argument("--out", type=Path, help="Write the model here; ANSF_ROUTE_MODEL.")
        prices = verb("prices", self.prices, "Compare models with a price table.")
        prices.add_argument("file", type=Path, help="JSON: models by name, with their costs.")
        prices.add_argument("--apply", action="store_true", help="Write what differs.")

    # --- explaining -----------------------------------------------------------------------
    def explain_route(self, options: dict[str, Any]) -> None:
        """Print the decision and its reasons; exit 3 when no model may answer."""
        tenant = _tenant(options["tenant"])
        view = catalogue.view()
        policy = view.policy(tenant.pk, options["policy"])
        learned = sufficiency.current()
        prompt = _prompt(options)
        needs = _needs_of(options, prompt, learned, policy.max_output)
        rules = catalogue.rules_of(policy, needs.task_class)
        if options["model"] and options["task_class"] is None:
            rules = replace(rules, call_budget=None)
        candidates = [_candidate(row, prompt) for row in view.models_of(tenant.pk)]
        try:
            found = route(candidates, needs, rules)
        except NoRoute as error:
            if not self.screen.as_json:
                self._options(error.options)
            raise Failure(error, Exit.THRESHOLD) from error
        told = found.as_dict() | {"policy": policy.name, "task_class": needs.task_class}
        if self.screen.as_json:
            self.screen.json(told | {"learned_model": learned.label})
            return
        for reason in found.reasons:
            self.screen.line(reason)
        self.screen.fields(
            {
                "model": f"{found.model} of {found.provider}",
                "fallbacks": ", ".join(option.name for option in found.fallbacks),
                "tokens": f"{found.tokens_in:,} in, at most {found.chosen.max_output:,} out",
                "baseline": found.baseline,
                "policy": policy.name,
                "learned model": learned.label,
            }
        )
        self._options(found.options)

    def _options(self, options: tuple[Option, ...]) -> None:
        self.screen.table(
            ("model", "provider", "quality", "expected", "refused"),
            [
                (each.name, each.provider, each.quality, dollars(each.expected_cost), each.refused)
                for each in options
            ],
        )

    # --- training -------------------------------------------------------------------------
    def train(self, options: dict[str, Any]) -> None:
        """Print the model with what it is worth on subjects it has not seen."""
        outcomes = training.read_outcomes(options["file"])
        unseen = training.left_out(outcomes)
        model = training.train(outcomes, options["label"])
        try:
            found = judging.curve(unseen.difficulty, outcomes.weak, outcomes.strong)
        except ValueError as error:
            raise Usage(f"{options['file']}: {error}") from error
        judged = {
            **model.trained_on,
            "apgr": found.apgr,
            "cpt50": found.calls_for(0.5),
            "cpt80": found.calls_for(0.8),
            "calibration_error": judging.calibration_error(
                unseen.cheap_suffices, ~outcomes.insufficient
            ),
        }
        if options["out"]:
            _write(options["out"], model)
        if self.screen.as_json:
            self.screen.json({"judged": judged, "model": model.as_dict()})
            return
        if not options["out"]:
            self.screen.line(json.dumps(model.as_dict(), indent=2))
        for name, value in judged.items():
            self.screen.note(
                f"{name}  {value:.4g}" if isinstance(value, float) else f"{name}  {value}"
            )

    # --- prices ---------------------------------------------------------------------------
    def prices(self, options: dict[str, Any]) -> None:
        """Print what a table says otherwise; with --apply write it."""
        table = read_table(options["file"])
        rows = list(LanguageModel.objects.select_related("provider", "tenant"))
        found = differences(rows, table)
        if options["apply"]:
            definitions.reprice(found, COMMAND)
        unlisted = sorted(row.name for row in rows if table.find(row) is None)
        if self.screen.as_json:
            self.screen.json(
                {
                    "applied": options["apply"],
                    "read": table.read,
                    "other_modes": table.others,
                    "bad": [{"name": name, "reason": reason} for name, reason in table.bad],
                    "unlisted": unlisted,
                    "differences": [_difference(each) for each in found],
                }
            )
            return
        for each in found:
            for name, (old, new) in each.changes.items():
                self.screen.line(f"{each.row.name}: {name} {_plain(old)} → {_plain(new)}")
        self._summary(len(found), table.bad, unlisted, applied=options["apply"])

    def _summary(
        self, count: int, bad: tuple[tuple[str, str], ...], unlisted: list[str], *, applied: bool
    ) -> None:
        for name, reason in bad[:MOST_TOLD]:
            self.screen.note(f"left out {name}: {reason}")
        if len(bad) > MOST_TOLD:
            self.screen.note(f"… and {len(bad) - MOST_TOLD} more; --json names all")
        if unlisted:
            self.screen.note(f"not in the table: {', '.join(unlisted)}")
        if not count:
            self.screen.note("nothing differs")
        elif applied:
            self.screen.note(f"{count} changed")
        else:
            self.screen.note(f"{count} differ; nothing is written without --apply")


def _needs(parser: ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="Text, or a chat as JSON; - is stdin.")
    parser.add_argument("--prompt", help="The prompt itself.")
    parser.add_argument("--tenant", default="default", help="Slug; default: default.")
    parser.add_argument("--policy", default="", help="Gateway policy; default: default.")
    parser.add_argument(
        "--class", dest="task_class", choices=TaskClass.values,
        help="Default: simple; with --model, no class and none of its budgets.",
    )  # fmt: skip
    parser.add_argument("--model", default="", help="Asked for by name.")
    parser.add_argument("--tier", default="")
    parser.add_argument("--max-output", type=int, help="Tokens; default: the policy's.")
    parser.add_argument("--expected-output", type=int, help="Tokens; default: as many as may be.")
    for name in ("tools", "structured", "streaming"):
        parser.add_argument(f"--{name}", action=BooleanOptionalAction, default=False)


def _needs_of(options: dict[str, Any], prompt: list[str], learned: Sufficiency, most: int) -> Needs:
    for name in ("max_output", "expected_output"):
        if options[name] is not None and options[name] < 1:
            raise Usage(f"--{name.replace('_', '-')} is below 1: give 1 or more tokens")
    return Needs(
        tokens_in=count_messages(prompt).tokens,
        max_output=options["max_output"] or most,
        expected_output=options["expected_output"],
        task_class=options["task_class"] or TaskClass.SIMPLE.value,
        model=options["model"],
        tier=options["tier"],
        tools=options["tools"],
        json=options["structured"],
        streaming=options["streaming"],
        cheap_suffices=learned.probability(prompt[-1]),
        cheap_suffices_on_average=learned.average,
    )


def _candidate(row: LanguageModel, prompt: Sequence[str]) -> Candidate:
    size = size_of([Message("user", text) for text in prompt], row.upstream)
    return replace(catalogue.candidate(row), tokens_in=size.upper)


def _prompt(options: dict[str, Any]) -> list[str]:
    """The texts of the turns, the last one being asked."""
    if (options["file"] is None) == (options["prompt"] is None):
        raise Usage("give a file or --prompt, and not both")
    if options["prompt"] is not None:
        return [options["prompt"]]
    text = _read(options["file"])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    turns = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(turns, list):
        return [text]
    texts = [turn.get("content") for turn in turns if isinstance(turn, dict)]
    found = [each for each in texts if isinstance(each, str)]
    return found if found and len(found) == len(turns) else [text]


def _read(name: str) -> str:
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise Usage(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Usage(f"{name} is not UTF-8 (byte {error.start}): convert it first") from error
    if len(raw) > MOST_BYTES:
        raise Usage(f"{name} is larger than {MOST_BYTES} bytes: split it")
    return text


def _tenant(slug: str) -> Tenant:
    found = Tenant.objects.filter(slug=slug).first()
    if found is None:
        raise Usage(f"there is no tenant {slug!r}: the admin lists those there are")
    return found


def _write(path: Path, model: Sufficiency) -> None:
    try:
        path.write_text(json.dumps(model.as_dict(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise Usage(f"{path} cannot be written: {error.strerror}") from error


def _difference(each: Difference) -> dict[str, Any]:
    tenant = each.row.tenant
    return {
        "model": each.row.name,
        "tenant": tenant.slug if tenant else None,
        "changes": {name: list(pair) for name, pair in each.changes.items()},
    }


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
