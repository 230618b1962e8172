"""The verbs of ``cache`` that look at and change what is stored."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansf_platform import terminal
from ansf_platform.accounts.models import DEFAULT_TENANT, Tenant
from ansf_platform.first_run.servers import beside_up
from ansf_platform.terminal import Usage
from gateway import catalogue
from gateway.cache import feedback, invalidation, warming
from gateway.cache.explaining import Explanation, explain
from gateway.cache.keys import Partition
from gateway.cache.pool import patient_cache
from gateway.cache.statistics import HOURS_KEPT, Statistics, shadowed, statistics
from gateway.caching import cache_policy, narrowed
from gateway.errors import GatewayError
from gateway.pipe import complete
from gateway.request import Message, Request
from gateway.samples import read_lines

Verb = Callable[..., ArgumentParser]
_MOST_MISSED = 100


class Upkeep(terminal.Command):
    """Stats, explain, invalidate, warm, report, shadow."""

    def handle(self, *args: Any, **options: Any) -> None:
        with beside_up():
            super().handle(*args, **options)

    def declare_upkeep(self, verb: Verb) -> None:
        """Add the verbs."""
        looked = verb("stats", self.stats, "What the cache did lately and holds now.")
        looked.add_argument("--hours", type=int, default=24, help=f"Of the last {HOURS_KEPT}.")
        _declare_question(verb("explain", self.explain_lookup, "Why a question would hit or miss."))
        voided = verb("invalidate", self.invalidate, "Make answers void, for every process.")
        chosen = voided.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--tag", action="append", help="What carries it; may be repeated.")
        chosen.add_argument("--entry", help="One answer.")
        chosen.add_argument("--scope", help="All answers of a scope that `explain` shows.")
        chosen.add_argument("--all", action="store_true", help="Everything of the tenant.")
        voided.add_argument("--yes", action="store_true", help="Do not ask before --all.")
        warmed = verb("warm", self.warm, "Store answers before anybody asks.")
        warmed.add_argument(
            "file", type=Path, nargs="?",
            help='Lines {"prompt", "answer"}, also system, model, tier, locale, tags, epoch.',
        )  # fmt: skip
        warmed.add_argument(
            "--missed",
            type=int,
            metavar="N",
            help="Let models answer what was missed and would have saved most.",
        )
        reported = verb("report", self.report, "Say whether an answer was right; list reports.")
        reported.add_argument("entry", nargs="?", help="Without it: reports as labelled pairs.")
        judged = reported.add_mutually_exclusive_group()
        judged.add_argument("--right", action="store_true")
        judged.add_argument("--wrong", action="store_true")
        reported.add_argument("--question", default="", help="As it was asked.")
        reported.add_argument("--score", type=float, help="It was served with, without question.")
        shown = verb("shadow", self.shadow, "List similar hits that shadow mode did not serve.")
        for parser in (looked, voided, warmed, reported, shown):
            _declare_tenant(parser)
        for parser in (looked, voided, reported, shown):
            parser.add_argument("--shared", action="store_true", help="What all tenants share.")
        warmed.add_argument("--policy", default="", help="Gateway policy that will be asked under.")

    def stats(self, options: dict[str, Any]) -> None:
        """Print counts of a window, and sizes."""
        if not 1 <= options["hours"] <= HOURS_KEPT:
            raise Usage(f"--hours is {options['hours']}: give 1 to {HOURS_KEPT}")
        found = statistics(patient_cache().connection, _partition(options), options["hours"])
        if self.screen.as_json:
            self.screen.json(found.as_dict())
        else:
            self.screen.fields(_lines(found))

    def explain_lookup(self, options: dict[str, Any]) -> None:
        """Print what a lookup would do and why."""
        request = _request(options)
        row = catalogue.view().policy(int(request.tenant), options["policy"])
        request = narrowed(request, row)
        policy = cache_policy(int(request.tenant), row, request)
        told = explain(patient_cache(), request, policy)
        if self.screen.as_json:
            self.screen.json(told.as_dict(shared_texts=True))
        else:
            self._print_explanation(told, enabled=policy.enabled)

    def _print_explanation(self, told: Explanation, *, enabled: bool) -> None:
        shown = told.as_dict(shared_texts=True)
        self.screen.fields(
            {
                "would be": told.level if enabled else "not looked for: the policy says so",
                "entry": told.entry or "none",
                "scope": told.scope,
                "entries to compare": told.in_scope,
                "similar questions": "compared" if told.similar_asked else "not asked for",
            }
        )
        columns = ("entry", "cosine", "score", "threshold", "vetoes", "question")
        if shown["verdicts"]:
            self.screen.table(
                columns,
                [
                    [", ".join(v["vetoes"]) if name == "vetoes" else v[name] for name in columns]
                    for v in shown["verdicts"]
                ],
            )

    def invalidate(self, options: dict[str, Any]) -> None:
        """Make void what was named."""
        connection, partition = patient_cache().connection, _partition(options)
        removed = 1
        if options["all"]:
            self.confirm("Make every answer void?", yes=options["yes"])
            removed = invalidation.invalidate_all(connection, partition)
        elif options["scope"]:
            removed = invalidation.invalidate_scope(connection, partition, options["scope"])
        elif options["entry"]:
            invalidation.invalidate_entry(connection, partition, options["entry"])
        else:
            removed = 0  # found void when they are asked for
            invalidation.invalidate_tags(connection, partition, options["tag"])
        self._done({"invalidated": True, "removed_now": removed})

    def warm(self, options: dict[str, Any]) -> None:
        """Store the answers of a file, or what models answer to the questions missed most."""
        if (options["file"] is None) == (options["missed"] is None):
            raise Usage("give a FILE or --missed N")
        tenant, cache = _tenant(options), patient_cache()
        row = catalogue.view().policy(tenant.pk, options["policy"])
        if options["file"] is None:
            self._warm_missed(
                tenant, min(max(1, options["missed"]), _MOST_MISSED), options["policy"]
            )
            return
        lines = read_lines(options["file"], lambda line: warming.prepared(line, str(tenant.pk)))
        with self.screen.progress("storing", len(lines)) as advance:
            done = warming.warm(
                cache,
                [replace(line, request=narrowed(line.request, row)) for line in lines],
                lambda request: cache_policy(tenant.pk, row, request),
                advance,
            )
        self._done({"stored": done.stored, "refused": done.refused})

    def _warm_missed(self, tenant: Tenant, most: int, policy: str) -> None:
        """One question after another; what fails is counted, and the next one is asked."""
        found = warming.recent_misses(patient_cache().connection, Partition(str(tenant.pk)), most)
        done = Counter[str]()
        with self.screen.progress("asking", len(found)) as advance:
            for missed in found:
                request = replace(missed.request, policy=policy or missed.request.policy)
                done[_asked(request)] += 1
                advance(1)
        known = {name: done.pop(name, 0) for name in ("stored", "present", "not_kept")}
        self._done({**known, "failed": dict(done)})

    def shadow(self, options: dict[str, Any]) -> None:
        """Print the newest, one JSON object a line, to be labelled."""
        for line in shadowed(patient_cache().connection, _partition(options)):
            self.screen.line(json.dumps(line, ensure_ascii=False))

    def report(self, options: dict[str, Any]) -> None:
        """Note a judgement, or print the pairs that were judged."""
        connection, partition = patient_cache().connection, _partition(options)
        if options["entry"] is None:
            for pair in feedback.reported_pairs(connection, partition):
                self.screen.line(json.dumps(pair, ensure_ascii=False))
            return
        if options["right"] == options["wrong"]:
            raise Usage("say --right or --wrong")
        judgement = feedback.Judgement(options["right"], options["question"], options["score"])
        standing = feedback.report(connection, partition, options["entry"], judgement)
        self._done(
            {
                "entry": standing.entry,
                "right": standing.record.good,
                "wrong": standing.record.bad,
                "quarantined": standing.quarantined,
            }
        )

    def _done(self, report: dict[str, Any]) -> None:
        if self.screen.as_json:
            self.screen.json(report)
        else:
            self.screen.fields(report)


def _asked(request: Request) -> str:
    """What became of a missed question: stored, present, not_kept, or an error's code."""
    try:
        answer = complete(request)
    except GatewayError as error:
        return error.code or "failed"
    if answer.hit:
        return "present"
    return "stored" if answer.entry else "not_kept"


def _declare_tenant(parser: ArgumentParser) -> None:
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="Slug.")


def _declare_question(parser: ArgumentParser) -> None:
    parser.add_argument("question")
    for name in ("system", "model", "tier", "locale", "epoch", "policy", "user"):
        parser.add_argument(f"--{name}", default="", help="As in the request.")
    parser.add_argument("--tag", action="append", default=[], help="May be repeated.")
    parser.add_argument("--visibility", choices=("tenant", "user", "global"), default="tenant")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--max-tokens", type=int)
    _declare_tenant(parser)


def _tenant(options: dict[str, Any]) -> Tenant:
    found = Tenant.objects.filter(slug=options["tenant"]).first()
    if found is None:
        raise Usage(f"there is no tenant {options['tenant']!r}: the admin lists those there are")
    return found


def _partition(options: dict[str, Any]) -> Partition:
    return Partition("" if options["shared"] else str(_tenant(options).pk))


def _request(options: dict[str, Any]) -> Request:
    turns = [Message("user", options["question"])]
    if options["system"]:
        turns.insert(0, Message("system", options["system"]))
    return Request(
        tenant=str(_tenant(options).pk),
        messages=tuple(turns),
        model=options["model"] or None,
        tier=options["tier"],
        temperature=options["temperature"],
        max_tokens=options["max_tokens"],
        visibility=options["visibility"],
        user=options["user"] or None,
        locale=options["locale"],
        tags=tuple(options["tag"]),
        epoch=options["epoch"],
    )


def _lines(found: Statistics) -> dict[str, Any]:
    return {
        f"requests in {found.hours} h": found.requests,
        **{f"hits, {level}": count for level, count in found.hits.items()},
        "misses": found.misses,
        "hit rate": "-" if found.hit_rate is None else f"{found.hit_rate:.1%}",
        "saved": f"${found.saved_nanodollars / 1e9:,.4f}",
        "stored": found.stored,
        "evicted": found.evicted,
        "not kept": found.refused or 0,
        "void when found": found.voided,
        "shadow": found.shadow or 0,
        "reports": found.reports,
        "entries": found.entries,
        "MB": round(found.bytes / 1e6, 2),
    }
