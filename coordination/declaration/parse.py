"""From YAML to a :class:`Declaration`, with every mistake named by its path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.text import slugify

from coordination.declaration import limits, markup, spec
from coordination.declaration.spec import AgentSpec, Declaration, Field, Item, SwarmSpec
from coordination.errors import Invalid, ItemError

SECTIONS = ("swarms", "definitions", "schedules", "limits")
MAX_AGENTS = 1000  # of one swarm


@dataclass(slots=True)
class _Reader:
    """Collects what is wrong, so that one look at the file can mend it all."""

    errors: list[ItemError] = field(default_factory=list)

    def wrong(self, path: str, message: str) -> None:
        self.errors.append(ItemError(None, path, message))

    def mapping(self, path: str, value: Any) -> Mapping[str, Any]:
        """`value` if it is a mapping with text as keys, else an empty one and an error."""
        if not isinstance(value, dict):
            self.wrong(path, f"must be a mapping, not {_kind(value)}")
            return {}
        strange = [key for key in value if not isinstance(key, str)]
        for key in strange:
            self.wrong(path, f"the key {key!r} must be text: quote it")
        return {key: part for key, part in value.items() if isinstance(key, str)}

    def known(self, path: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
        """Refuse keys that mean nothing here."""
        for key in given:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(allowed)}"
                self.wrong(f"{path}/{_escape(key)}", f"unknown key; {hint}")

    def columns(
        self, path: str, given: Mapping[str, Any], fields: Mapping[str, Field]
    ) -> dict[str, Any]:
        """The columns that the right ones among `given` set."""
        columns: dict[str, Any] = {}
        for key, known in fields.items():
            if key not in given:
                continue
            complaint = known.check(given[key])
            if complaint:
                self.wrong(f"{path}/{key}", f"{complaint}, not {_show(given[key])}")
            else:
                columns[known.column] = given[key]
        return columns

    def named(self, section: str, value: Any, pattern: re.Pattern[str]) -> Mapping[str, Any]:
        """The entries of a section whose names may be used."""
        entries = self.mapping(f"/{section}", value)
        for name in entries:
            if not pattern.fullmatch(name):
                self.wrong(f"/{section}/{_escape(name)}", "is not a usable name")
        return entries


def parse(text: str) -> Declaration:
    """The declaration that YAML `text` holds. Raises :class:`Invalid`."""
    return parse_mapping(markup.load(text))


def parse_mapping(value: Any) -> Declaration:
    """The declaration in plain values. Raises :class:`Invalid` with every mistake."""
    reader = _Reader()
    whole = reader.mapping("", value)
    reader.known("", whole, SECTIONS)
    given = {name: whole.get(name) or {} for name in SECTIONS}
    declaration = Declaration(
        swarms=tuple(
            _swarm(reader, slug, body)
            for slug, body in reader.named("swarms", given["swarms"], spec.SLUG).items()
        ),
        definitions=tuple(
            _definition(reader, name, body)
            for name, body in reader.named("definitions", given["definitions"], spec.NAME).items()
        ),
        schedules=tuple(
            _schedule(reader, name, body)
            for name, body in reader.named("schedules", given["schedules"], spec.SLUG).items()
        ),
        limits=tuple(
            _limit(reader, name, body)
            for name, body in reader.named("limits", given["limits"], limits.NAMES).items()
        ),
    )
    if reader.errors:
        raise Invalid(reader.errors)
    return declaration


def _swarm(reader: _Reader, slug: str, body: Any) -> SwarmSpec:
    path = f"/swarms/{_escape(slug)}"
    given = reader.mapping(path, {} if body is None else body)
    reader.known(path, given, (*spec.SWARM, "agents"))
    agents = _agents(reader, f"{path}/agents", given["agents"]) if "agents" in given else None
    columns = reader.columns(path, given, spec.SWARM)
    if agents is not None and len(agents) > columns.get("agents_max", len(agents)):
        reader.wrong(f"{path}/agents_max", f"is less than the {len(agents)} agents declared")
    return SwarmSpec(slug, columns, agents)


def _agents(reader: _Reader, path: str, value: Any) -> tuple[AgentSpec, ...]:
    """Agents from a number, from one group, or from a list of groups."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"count": value}
    groups = value if isinstance(value, list) else [value]
    paths = [f"{path}/{n}" for n in range(len(groups))] if isinstance(value, list) else [path]
    agents: list[AgentSpec] = []
    for at, group in zip(paths, groups, strict=True):
        agents += _group(reader, at, group)
        if len(agents) > MAX_AGENTS:  # before the next group: each may ask for as many again
            reader.wrong(path, f"declares more than {MAX_AGENTS} agents")
            return ()
    names = [agent.name for agent in agents]
    for name in sorted({name for name in names if names.count(name) > 1}):
        reader.wrong(path, f"names {name!r} twice: give `names`, or each group its own role")
    return tuple(agents)


def _group(reader: _Reader, path: str, value: Any) -> list[AgentSpec]:
    given = reader.mapping(path, value)
    reader.known(path, given, ("count", "names", *spec.AGENT))
    columns = reader.columns(path, given, spec.AGENT)
    if ("count" in given) == ("names" in given):
        if given:
            reader.wrong(path, "needs either `count` or `names`")
        return []
    if "names" in given:
        return [AgentSpec(name, columns) for name in _names(reader, path, given["names"])]
    complaint = spec.whole(0, MAX_AGENTS)(given["count"])
    if complaint:
        reader.wrong(f"{path}/count", f"{complaint}, not {_show(given['count'])}")
        return []
    return [AgentSpec(name, columns) for name in numbered(columns.get("role"), given["count"])]


def _names(reader: _Reader, path: str, value: Any) -> list[str]:
    names = value if isinstance(value, list) else []
    if not names or not all(isinstance(n, str) and spec.SLUG.fullmatch(n) for n in names):
        reader.wrong(f"{path}/names", "must be a list of letters, digits, - and _")
        return []
    return names


def numbered(role: str | None, count: int) -> list[str]:
    """The names of `count` agents that were given none: the role, or `agent`, and a number."""
    stem = slugify(role or "")[:40] or "agent"
    return [f"{stem}-{n}" for n in range(1, count + 1)]


def _definition(reader: _Reader, name: str, body: Any) -> Item:
    path = f"/definitions/{_escape(name)}"
    given = reader.mapping(path, body)
    reader.known(path, given, tuple(spec.DEFINITION))
    return Item(name, reader.columns(path, given, spec.DEFINITION))


def _schedule(reader: _Reader, name: str, body: Any) -> Item:
    path = f"/schedules/{_escape(name)}"
    given = reader.mapping(path, body)
    reader.known(path, given, tuple(spec.SCHEDULE))
    columns = reader.columns(path, given, spec.SCHEDULE)
    if "definition" not in given:
        reader.wrong(path, "needs `definition`, the name of a task definition")
    if given.get("cron") and given.get("interval_seconds"):
        reader.wrong(path, "takes either `cron` or `interval_seconds`, not both")
    elif given.get("cron"):  # the other of the two is cleared when a schedule changes its kind
        columns["interval_seconds"] = None
    elif given.get("interval_seconds"):
        columns["cron"] = ""
    else:
        reader.wrong(path, "needs `cron` or `interval_seconds`")
    return Item(name, columns)


def _limit(reader: _Reader, name: str, body: Any) -> Item:
    """Only the keys are judged here: the values belong to a policy that may exist already."""
    path = f"/limits/{_escape(name)}"
    given = reader.mapping(path, body)
    reader.known(path, given, tuple(limits.KEYS))
    return Item(name, {column: given[key] for key, column in limits.KEYS.items() if key in given})


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "empty"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"  # noqa: PLR2004
