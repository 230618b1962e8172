"""``run``: submit graphs of tasks and look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from django.core.management.base import CommandParser

from ansf_platform.terminal import Usage
from coordination import runs, selectors
from coordination.errors import Invalid
from coordination.management import console
from coordination.management.drawing import draw
from coordination.models import Run
from coordination.runs import EdgeRequest, NodeRequest

NEWEST = 50
Request = TypeVar("Request", NodeRequest, EdgeRequest)


class Command(console.Command):
    """Runs: list, show, submit."""

    help = "Submit graphs of tasks and look at them."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        listed = verb("list", self.list_runs, "The newest runs.")
        listed.add_argument("--limit", type=console.positive, default=NEWEST, help="Default 50.")
        shown = verb("show", self.show, "One run: its state and its tasks.")
        shown.add_argument("id", type=console.identifier)
        shown.add_argument("--graph", action="store_true", help="Draw who waits for whom.")
        submitted = verb("submit", self.submit, "Submit a run from a JSON file.")
        submitted.add_argument("file", help='{"name": …, "nodes": […], "edges": […]}; - is stdin.')

    def list_runs(self, options: dict[str, Any]) -> None:
        """Print the newest runs with their derived state."""
        found = Run.objects.filter(tenant=self.tenant(options)).order_by("-id")
        rows = [_summary(run) for run in found[: options["limit"]]]
        if self.screen.as_json:
            self.screen.json({"runs": rows})
            return
        columns = ("id", "name", "status", "nodes", "created_at")
        self.screen.table(columns, ([row[name] for name in columns] for row in rows))

    def show(self, options: dict[str, Any]) -> None:
        """Print one run and its tasks, as a table or drawn."""
        run = selectors.run(self.tenant(options), options["id"])
        state = selectors.run_state(run)
        if self.screen.as_json:
            self.screen.json({"id": run.pk, "name": run.name} | _plain(state))
            return
        times = {"started_at": state.started_at, "finished_at": state.finished_at}
        self.screen.fields({"id": run.pk, "name": run.name, "status": state.status} | times)
        self.screen.line("  ".join(f"{count} {name}" for name, count in state.counts.items()))
        self.screen.line()
        if options["graph"]:
            for line in draw(state.nodes):
                self.screen.line(line)
            return
        columns = ("name", "group", "status", "waiting_on", "task_id")
        rows = ([getattr(node, name) for name in columns] for node in state.nodes)
        self.screen.table(columns, rows)

    def submit(self, options: dict[str, Any]) -> None:
        """Submit a run and print its id."""
        tenant = self.tenant(options)
        document = console.read_json(options["file"])
        name, nodes, edges = _requests(options["file"], document)
        try:
            with self.audited(tenant) as entry:
                run = runs.submit_run(name, nodes, edges, tenant=tenant)
                entry("run.submit", "run", run.pk, name=run.name, nodes=len(nodes))
        except Invalid as error:
            raise console.in_file(options["file"], error, "/nodes") from error
        if self.screen.as_json:
            self.screen.json({"id": run.pk, "nodes": len(nodes)})
        else:
            self.screen.line(str(run.pk))


def _summary(run: Run) -> dict[str, Any]:
    state = selectors.run_state(run)
    return {
        "id": run.pk,
        "name": run.name,
        "status": state.status,
        "nodes": run.nodes_total,
        "counts": state.counts,
        "created_at": run.created_at,
    }


def _plain(state: selectors.RunState) -> dict[str, Any]:
    return {field.name: getattr(state, field.name) for field in fields(state)}


def _requests(path: str, document: Any) -> tuple[str, Sequence[NodeRequest], Sequence[EdgeRequest]]:
    """The parts of a run's JSON. Raises Usage."""
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise Usage(f"{path}: must be an object with `name`, `nodes` and `edges`")
    unknown = sorted(set(document) - {"name", "nodes", "edges"})
    if unknown:
        raise Usage(f"{path}: /{unknown[0]}: unknown key; known are name, nodes, edges")
    nodes = _each(path, "nodes", document, NodeRequest)
    return document["name"], nodes, _each(path, "edges", document, EdgeRequest)


def _each(
    path: str, section: str, document: Mapping[str, Any], kind: type[Request]
) -> list[Request]:
    items = document.get(section, [])
    if not isinstance(items, list):
        raise Usage(f"{path}: /{section}: must be a list")
    return [_one(f"{path}: /{section}/{n}", item, kind) for n, item in enumerate(items)]


TEXT = {"name", "definition", "swarm", "group", "parent", "child", "when"}


def _one(where: str, item: Any, kind: type[Request]) -> Request:
    known = {field.name for field in fields(kind)}
    if not isinstance(item, dict):
        raise Usage(f"{where}: must be an object")
    unknown = sorted(set(item) - known)
    if unknown:
        raise Usage(f"{where}/{unknown[0]}: unknown key; known are {', '.join(sorted(known))}")
    for name in sorted(TEXT & set(item)):
        if not isinstance(item[name], str):
            raise Usage(f"{where}/{name}: must be text")
    if item.get("when", "success") not in {"success", "always"}:
        raise Usage(f"{where}/when: must be success or always")
    try:
        return kind(**_read_times(where, item))
    except TypeError as error:
        raise Usage(f"{where}: {str(error).partition(') ')[2] or error}") from error


NUMBERS: Mapping[str, tuple[type, ...]] = {
    "priority": (int,),
    "version": (int,),
    "expected_seconds": (int, float),
}


def _read_times(where: str, item: dict[str, Any]) -> dict[str, Any]:
    for name, kinds in NUMBERS.items():
        value = item.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise Usage(f"{where}/{name}: must be a number")
    if "deadline" not in item or item["deadline"] is None:
        return item
    deadline = console.parsed_time(item["deadline"])
    if deadline is None:
        raise Usage(f"{where}/deadline: must be a time such as 2030-01-31T12:00:00Z")
    return item | {"deadline": deadline}
