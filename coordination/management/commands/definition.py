"""``definition``: what kinds of tasks there are, and new versions of them."""

from __future__ import annotations

import itertools
from typing import Any

from django.core.management.base import CommandParser

from coordination import declaration, selectors
from coordination.errors import Invalid
from coordination.management import console, shapes
from coordination.models import Pool, TaskDefinition


class Command(console.Command):
    """Definitions: list, show, create."""

    help = "List, show and create task definitions."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        verb("list", self.list_definitions, "The latest version of each definition.")
        shown = verb("show", self.show, "One definition, whole.")
        shown.add_argument("name")
        shown.add_argument("--at", type=console.positive, metavar="VERSION", help="Not the latest.")
        created = verb("create", self.create, "Define a task, or a new version of it.")
        created.add_argument("name")
        created.add_argument("--handler", help="Name of a registered Celery task.")
        created.add_argument("--pool", choices=Pool.values)
        created.add_argument("--swarm", help="Slug of its default swarm.")
        created.add_argument("--priority", type=console.priority)
        created.add_argument("--time-limit", type=console.duration, help="Default 300s.")
        created.add_argument("--max-attempts", type=console.positive)
        created.add_argument("--schema", type=console.json_value, help="JSON Schema of payloads.")
        created.add_argument("-f", "--file", help="JSON with the fields; - is stdin.")

    def list_definitions(self, options: dict[str, Any]) -> None:
        """Print the latest version of each definition."""
        found = TaskDefinition.objects.filter(tenant=self.tenant(options))
        newest_first = found.select_related("default_swarm").order_by("name", "-version")
        groups = itertools.groupby(newest_first, key=lambda row: row.name)
        rows = [shapes.of_definition(next(versions)) for _, versions in groups]
        if self.screen.as_json:
            self.screen.json({"definitions": rows})
            return
        columns = ("name", "version", "handler", "pool", "default_swarm", "enabled")
        self.screen.table(columns, ([row[name] for name in columns] for row in rows))

    def show(self, options: dict[str, Any]) -> None:
        """Print one version."""
        tenant = self.tenant(options)
        found = selectors.last_definition(tenant, options["name"], options["at"])
        whole = shapes.of_definition(found)
        if self.screen.as_json:
            self.screen.json(whole)
            return
        schema = whole.pop("schema")
        self.screen.fields(whole)
        self.screen.line("\nSchema", "bold")
        self.screen.line(console.pretty(schema))

    def create(self, options: dict[str, Any]) -> None:
        """Define a task from options, a file, or a file with options on top."""
        tenant, name = self.tenant(options), options["name"]
        fields = console.read_json(options["file"]) if options["file"] else {}
        given = {
            "handler": options["handler"],
            "pool": options["pool"],
            "swarm": options["swarm"],
            "priority": options["priority"],
            "time_limit_seconds": options["time_limit"],
            "max_attempts": options["max_attempts"],
            "schema": options["schema"],
        }
        if not isinstance(fields, dict):
            raise console.in_file(options["file"], Invalid([console.not_an_object()]))
        fields |= {key: value for key, value in given.items() if value is not None}
        wanted = declaration.parse_mapping({"definitions": {name: fields}})
        changes = declaration.apply(tenant, wanted, actor=console.ACTOR)
        version = selectors.last_definition(tenant, name).version
        if self.screen.as_json:
            created = bool(changes)
            self.screen.json({"name": name, "version": version, "created": created})
        else:
            self.screen.line(f"{name} v{version}{'' if changes else ' says this already'}")
