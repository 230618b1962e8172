"""Agents: the executors of a swarm."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from ansf_platform.endpoints import refuse_stale, tagged
from ansf_platform.field_errors import FieldError
from ansf_platform.operations import Query, operation
from ansf_platform.pagination import PAGING
from ansf_platform.problems import invalid
from ansf_platform.schemas import (
    anything,
    boolean,
    define,
    integer,
    moment,
    page_of,
    record,
    slug,
    text,
)
from coordination.api import changes
from coordination.api.endpoint import CoordinationEndpoint
from coordination.api.swarms import LABELS, agents_of
from coordination.models import Agent as AgentRow
from coordination.models import Swarm

SETTINGS = {
    "role": text(50),
    "capabilities": LABELS,
    "slots": integer(1, 1000, description="Envelopes it holds at once."),
    "model_settings": anything(),
    "enabled": boolean(),
}
AGENT = define(
    "Agent",
    record(
        {
            "id": integer(1),
            "swarm": slug(),
            "name": slug(),
            **SETTINGS,
            "created_at": moment(),
            "revision": integer(1),
        }
    ),
)
AGENTS = page_of(AGENT)
AGENT_NEW = define("AgentNew", record({"swarm": slug(), "name": slug()}, SETTINGS))
AGENT_CHANGE = define("AgentChange", record({}, {"name": slug(), **SETTINGS}))


def render(agent: AgentRow) -> dict[str, Any]:
    """An agent as JSON."""
    names = ("id", "name", *SETTINGS, "created_at", "revision")
    return {"swarm": agent.swarm.slug, **{name: getattr(agent, name) for name in names}}


class Agents(CoordinationEndpoint):
    """The agents of a tenant."""

    @operation(
        "List agents",
        scope="swarms:read",
        query=(
            Query("swarm", slug(), "Slug of a swarm."),
            Query("enabled", boolean()),
            *PAGING,
        ),
        answers={200: AGENTS},
    )
    def get(self, request: Request) -> Response:
        rows = agents_of(self.tenant.pk)
        if self.query["swarm"] is not None:
            rows = rows.filter(swarm__slug=self.query["swarm"])
        if self.query["enabled"] is not None:
            rows = rows.filter(enabled=self.query["enabled"])
        return self.page(rows, render, newest=False)

    @operation("Create an agent", scope="swarms:admin", body=AGENT_NEW, answers={201: AGENT})
    def post(self, request: Request) -> Response:
        swarm = Swarm.objects.filter(tenant=self.tenant, slug=self.body["swarm"]).first()
        if swarm is None:
            raise invalid([FieldError("/swarm", f"no swarm is called {self.body['swarm']!r}")])
        agent = AgentRow(swarm=swarm)
        values = {name: value for name, value in self.body.items() if name != "swarm"}
        changed = changes.save(agent, values)
        self.record("agent.create", "agent", str(agent), **changed)
        return tagged(agent, render(agent), 201, Location=f"/api/v1/agents/{agent.pk}")


class Agent(CoordinationEndpoint):
    """One agent."""

    def agent(self, agent_id: int) -> AgentRow:
        """The tenant's agent."""
        rows = agents_of(self.tenant.pk)
        agent: AgentRow = changes.found(rows, "agent", self.request, pk=agent_id)
        return agent

    @operation("Show an agent", scope="swarms:read", answers={200: AGENT})
    def get(self, request: Request, agent_id: int) -> Response:
        agent = self.agent(agent_id)
        return tagged(agent, render(agent))

    @operation(
        "Change an agent",
        scope="swarms:admin",
        body=AGENT_CHANGE,
        conditional=True,
        refuses=(409,),
        answers={200: AGENT},
    )
    def patch(self, request: Request, agent_id: int) -> Response:
        agent = self.agent(agent_id)
        refuse_stale(request, agent)
        changed = changes.save(agent, self.body)
        if changed:
            self.record("agent.update", "agent", str(agent), **changed)
        return tagged(agent, render(agent))

    @operation(
        "Remove an agent",
        scope="swarms:admin",
        description="What it holds finishes; history keeps its id.",
        conditional=True,
        answers={204: None},
    )
    def delete(self, request: Request, agent_id: int) -> Response:
        agent = self.agent(agent_id)
        refuse_stale(request, agent)
        self.record("agent.delete", "agent", str(agent))
        agent.delete()
        return Response(status=204)
