from __future__ import annotations

import pytest
import yaml
from django.conf import settings

from ansf_platform.accounts.models import AuditEntry
from coordination import declaration, definitions
from coordination.models import Agent, Schedule, Swarm, TaskDefinition
from workers import handlers

pytestmark = pytest.mark.django_db

YAML = """
swarms:
  backend:
    weight: 3
    agents:
      - {count: 2, role: worker, slots: 2, capabilities: [sql]}
      - {names: [lead], role: lead}
definitions:
  echo: {handler: tests.echo, pool: io, swarm: backend, priority: 7}
schedules:
  nightly: {definition: echo, cron: "0 3 * * *", payload: {n: 1}}
"""


def agents(**fields):
    return Agent.objects.filter(swarm__slug="backend", **fields)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "swarms.yaml"
    path.write_text(YAML)
    return path


def test_apply_makes_what_is_declared(manage, tenant, file):
    changes = manage("swarm", "apply", file, "--json").json["changes"]

    assert [change["kind"] for change in changes] == [
        *("swarm", "agent", "agent", "agent", "definition", "schedule")
    ]
    assert Swarm.objects.get(slug="backend").weight == 3
    assert [(a.name, a.role, a.slots) for a in agents()] == [
        ("lead", "lead", 1),
        ("worker-1", "worker", 2),
        ("worker-2", "worker", 2),
    ]
    assert TaskDefinition.objects.get().default_swarm.slug == "backend"
    assert Schedule.objects.get().next_at is not None


def test_applying_twice_changes_nothing(manage, tenant, file):
    manage("swarm", "apply", file)
    said = manage("swarm", "apply", file, "--json").json

    assert said == {"dry_run": False, "changes": []}
    assert TaskDefinition.objects.count() == 1
    assert Swarm.objects.get(slug="backend").revision == 1


def test_dry_run_shows_the_difference_and_changes_nothing(manage, tenant, file):
    manage("swarm", "apply", file)
    entries = AuditEntry.objects.count()
    file.write_text(YAML.replace("weight: 3", "weight: 5").replace("count: 2", "count: 1"))

    said = manage("swarm", "apply", file, "--dry-run")

    assert "~ swarm backend\n    weight: 3 → 5\n" in said.out
    assert "- agent backend/worker-2\n" in said.out
    assert "\x1b" not in said.out
    assert Swarm.objects.get(slug="backend").weight == 3
    assert agents(enabled=True).count() == 3
    assert AuditEntry.objects.count() == entries


def test_an_agent_left_out_is_disabled_and_comes_back(manage, tenant, file):
    manage("swarm", "apply", file)
    file.write_text(YAML.replace("count: 2", "count: 1"))
    manage("swarm", "apply", file)
    assert agents(enabled=True).count() == 2

    file.write_text(YAML)
    manage("swarm", "apply", file)

    assert agents(enabled=True).count() == 3


def test_a_changed_definition_is_a_new_version_and_keeps_what_is_left_out(manage, tenant, file):
    manage("swarm", "apply", file)
    file.write_text("definitions: {echo: {time_limit_seconds: 5}}")
    manage("swarm", "apply", file)

    newest, oldest = TaskDefinition.objects.order_by("-version")
    assert (oldest.version, oldest.time_limit_seconds) == (1, 300)
    assert (newest.version, newest.time_limit_seconds, newest.pool) == (2, 5, "io")


def test_a_definition_can_be_switched_off_without_a_new_version(manage, tenant, file):
    manage("swarm", "apply", file)
    file.write_text("definitions: {echo: {enabled: false}}")
    manage("swarm", "apply", file)

    assert [row.enabled for row in TaskDefinition.objects.all()] == [False]


def test_a_schedule_can_change_from_cron_to_interval(manage, tenant, file):
    manage("swarm", "apply", file)
    file.write_text("schedules: {nightly: {definition: echo, interval_seconds: 60}}")
    manage("swarm", "apply", file)

    schedule = Schedule.objects.get()
    assert (schedule.cron, schedule.interval_seconds, schedule.payload) == ("", 60, {"n": 1})


def test_one_mistake_leaves_everything_as_it_was(manage, fails, tenant, file):
    file.write_text(YAML + "  broken: {definition: missing, interval_seconds: 5}\n")

    line = fails(2, "swarm", "apply", file)

    assert "/schedules/broken/definition: no task definition is called 'missing'" in line
    assert not Swarm.objects.filter(slug="backend").exists()
    assert not AuditEntry.objects.exists()


def test_each_change_is_in_the_audit(manage, tenant, file):
    manage("swarm", "apply", file)

    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == [
        *("swarm.create", *["agent.create"] * 3, "definition.create", "schedule.create")
    ]


def test_what_is_exported_says_the_same_and_rebuilds_it_elsewhere(
    manage, tenant, other_tenant, file
):
    manage("swarm", "apply", file)
    exported = manage("swarm", "export").out

    assert manage("swarm", "apply", "-", "--json", stdin=exported).json["changes"] == []
    manage("swarm", "apply", "-", "--tenant", "other", stdin=exported)
    assert manage("swarm", "export", "--tenant", "other").out == exported
    assert manage("swarm", "export", "--json").json == yaml.safe_load(exported)


def test_the_example_declares_six_swarms_of_32_agents(manage, tenant):
    said = manage("swarm", "apply", settings.BASE_DIR / "examples" / "swarms.yaml")

    assert said.code == 0, said.err
    counts = {swarm.slug: swarm.agents.count() for swarm in Swarm.objects.exclude(slug="default")}
    assert counts == {
        "ai-research": 8,
        "backend": 6,
        "devops": 4,
        "frontend": 4,
        "security": 4,
        "testing": 6,
    }
    assert set(TaskDefinition.objects.values_list("name", flat=True)) == {
        *("attractor.analyze", "dtw.nearest", "features.embed", "http.fetch"),
        *("attractor.analyze_each", "dtw.nearest_each", "forecast.each", "logic.check_each"),
        *("patterns.search_each", "stream.window_batch"),
    }


def test_the_examples_schemas_know_every_argument_of_the_handlers():
    text = (settings.BASE_DIR / "examples" / "swarms.yaml").read_text()
    declared = {item.name: item.columns["schema"] for item in declaration.parse(text).definitions}

    assert set(declared) <= set(handlers.SCHEMAS)
    for name, schema in declared.items():
        own = handlers.SCHEMAS[name]
        assert (schema["required"], set(schema["properties"])) == (
            own["required"],
            set(own["properties"]),
        )


def test_list_and_show(manage, swarm):
    Agent.objects.create(swarm=swarm, name="a-1", role="analyst")

    assert manage("swarm", "list", "--json").json["swarms"][-1]["agents"] == 1
    assert "research" in manage("swarm", "list").out
    assert manage("swarm", "show", "research", "--json").json["agents"][0]["role"] == "analyst"
    assert "analyst" in manage("swarm", "show", "research").out


def test_pause_and_resume_are_recorded_and_bump_the_revision(manage, swarm):
    assert manage("swarm", "pause", "research").out == "research is paused\n"
    assert manage("swarm", "resume", "research", "--json").json == {
        "swarm": "research",
        "paused": False,
    }

    swarm.refresh_from_db()
    assert swarm.revision == 3
    assert AuditEntry.objects.filter(action__in=["swarm.pause", "swarm.resume"]).count() == 2


def test_status_shows_swarms_and_queues(manage, swarm, definition):
    manage("submit", "echo", "--priority", "8")

    said = manage("status", "--json").json
    plain = manage("status").out

    assert said["queues"][0] | {"oldest_ready_seconds": 0} == {
        "pool": "cpu",
        "priority": 8,
        "ready": 1,
        "dispatched": 0,
        "oldest_ready_seconds": 0,
    }
    assert (said["workers"], said["leases"]) == ([], [])
    assert "research" in plain


def test_status_watched_as_json_is_one_object_per_line(manage, swarm):
    said = manage("status", "--watch", "--rounds", "2", "--interval", "1ms", "--json")

    lines = said.out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("{") for line in lines)


def test_definitions_are_listed_shown_and_created(manage, definition):
    created = manage(
        *("definition", "create", "double", "--handler", "tests.echo", "--pool", "io", "--json")
    ).json
    again = manage("definition", "create", "double", "--handler", "tests.echo").out

    assert created == {"name": "double", "version": 1, "created": True}
    assert again == "double v1 says this already\n"
    names = [row["name"] for row in manage("definition", "list", "--json").json["definitions"]]
    assert names == ["double", "echo"]
    assert manage("definition", "show", "echo", "--json").json["handler"] == "tests.echo"
    assert '"type": "integer"' in manage("definition", "show", "echo").out


def test_a_definition_can_come_from_a_file(manage, tenant, tmp_path):
    file = tmp_path / "definition.json"
    file.write_text('{"handler": "tests.echo", "max_attempts": 9}')

    manage("definition", "create", "nine", "-f", file, "--pool", "io")

    row = TaskDefinition.objects.get()
    assert (row.max_attempts, row.pool) == (9, "io")


def test_only_the_latest_version_is_listed(manage, definition, tenant):
    definitions.define(tenant, "echo", handler="tests.echo", max_attempts=5)

    listed = manage("definition", "list", "--json").json["definitions"]

    assert [(row["name"], row["version"]) for row in listed] == [("echo", 2)]
