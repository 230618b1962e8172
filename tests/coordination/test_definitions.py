"""Definitions never change: a change is a new version, and a wrong one is refused by field."""

from __future__ import annotations

import logging

import pytest

from ansf_platform.celery import ENVELOPE_TASK, app
from coordination import definitions, handlers
from coordination import swarms as switches
from coordination.errors import Invalid
from coordination.models import Swarm, TaskDefinition
from tests.coordination.steps import get, ready
from tests.databases import in_threads


@app.task(name="tests.limited", rate_limit="1/s", time_limit=5, acks_late=False)
def limited():
    pass


def define(tenant, name="d", **columns):
    return definitions.define(tenant, name, **{"handler": "tests.accept", **columns})


def test_a_definition_that_says_the_same_is_the_same_version(tenant):
    first = define(tenant, schema={"type": "object"})

    assert define(tenant, schema={"type": "object"}).pk == first.pk
    assert first.version == 1


def test_a_changed_definition_is_a_new_version_and_the_old_one_stays(tenant, swarms):
    first = define(tenant, max_attempts=1)

    second = define(tenant, max_attempts=2)

    assert (second.version, TaskDefinition.objects.count()) == (2, 2)
    first.refresh_from_db()
    assert first.max_attempts == 1
    assert get(ready("d")).definition_id == second.pk


def test_going_back_is_a_third_version(tenant):
    for attempts in (1, 2, 1):
        found = define(tenant, max_attempts=attempts)

    assert found.version == 3


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"handler": "tests.absent"}, "/handler"),
        ({"handler": ENVELOPE_TASK}, "/handler"),
        ({"handler": "celery.chord"}, "/handler"),
        ({"schema": {"type": "no such type"}}, "/schema"),
        ({"schema": {"$ref": "https://example.org/schema"}}, "/schema"),
        ({"schema": {"properties": {"x": {"$ref": "file:///etc/passwd"}}}}, "/schema"),
        ({"schema": [1]}, "/schema"),
        ({"pool": "gpu"}, "/pool"),
        ({"default_priority": 10}, "/default_priority"),
        ({"max_attempts": 0}, "/max_attempts"),
        ({"time_limit_seconds": 0.0}, "/time_limit_seconds"),
        ({"backoff_seconds": -1.0}, "/backoff_seconds"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": "a\ud800"}, "/name"),
        ({"name": "n" * 101}, "/name"),
    ],
)
def test_a_wrong_definition_is_refused_by_field(tenant, columns, field):
    with pytest.raises(Invalid) as error:
        define(tenant, **columns)

    assert field in {item.field for item in error.value.errors}
    assert TaskDefinition.objects.count() == 0


def test_an_unbound_handler_is_told_with_those_there_are(tenant):
    with pytest.raises(Invalid, match=r"'tests\.absent'; registered: .*tests\.accept"):
        define(tenant, handler="tests.absent")


def test_a_swarm_of_another_tenant_is_refused(tenant):
    other = type(tenant).objects.create(slug="other", name="Other")
    swarm = Swarm.objects.create(tenant=other, slug="s")

    with pytest.raises(Invalid, match="another tenant"):
        define(tenant, default_swarm=swarm)


def test_options_of_a_handler_that_have_no_effect_are_warned_about(tenant, caplog):
    with caplog.at_level(logging.WARNING):
        define(tenant, handler="tests.limited")

    told = " ".join(caplog.messages)
    assert "rate_limit" in told
    assert "time_limit" in told
    assert "acks_late=False" in told


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_definitions_made_at_once_are_numbered_one_after_another(tenant):
    made = in_threads(
        *[lambda: define(tenant)] * 3,
        *[lambda attempts=attempts: define(tenant, max_attempts=attempts) for attempts in (5, 6)],
    )

    versions = list(TaskDefinition.objects.order_by("version").values_list("version", flat=True))
    assert versions == list(range(1, len(versions) + 1))
    assert {found.pk for found in made} <= set(TaskDefinition.objects.values_list("pk", flat=True))


def test_a_schema_that_refers_to_itself_is_followed(tenant, swarms):
    schema = {
        "properties": {"tree": {"$ref": "#/$defs/node"}},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"$ref": "#/$defs/node"}},
                "additionalProperties": False,
            }
        },
    }
    define(tenant, schema=schema, default_swarm=swarms["qa"])

    ready("d", {"tree": {"next": {"next": {}}}})
    with pytest.raises(Invalid, match="/payload/tree/next"):
        ready("d", {"tree": {"next": {"other": 1}}})


def test_mistakes_of_one_payload_are_bounded(tenant, swarms):
    schema = {"additionalProperties": {"type": "integer"}}
    define(tenant, schema=schema, default_swarm=swarms["qa"])

    with pytest.raises(Invalid) as error:
        ready("d", {f"x{number}": "no" for number in range(50)})

    assert len(error.value.errors) == 10


def test_only_ordinary_tasks_can_be_called_from_outside():
    names = handlers.bound_names()

    assert {"tests.accept", "http.fetch", "attractor.analyze"} <= names
    assert not [name for name in names if name.startswith(("celery.", "ansf."))]


def test_pausing_and_resuming_say_whether_they_changed_anything(swarms):
    swarm = swarms["qa"]
    revision = swarm.revision

    assert pause_twice(swarm) == [True, False]
    assert (swarm.paused, swarm.revision) == (True, revision + 1)
    assert resume_twice(swarm) == [True, False]
    assert (swarm.paused, swarm.revision) == (False, revision + 2)


def pause_twice(swarm):
    return [switches.pause(swarm), switches.pause(swarm)]


def resume_twice(swarm):
    return [switches.resume(swarm), switches.resume(swarm)]
