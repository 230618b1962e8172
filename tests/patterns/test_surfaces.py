"""Namespaces and patterns over REST, at the command line and in the admin."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from ansf_platform.accounts.models import AuditEntry
from patterns import memory
from patterns.models import Namespace, Pattern
from tests.api.conftest import caller, problem_of

UNIT = [1.0, 0, 0, 0, 0, 0, 0, 0]
INLINE = re.compile(r"<style|<script(?![^>]*\bsrc=)[^>]*>[^<]|\son\w+=|\sstyle=", re.IGNORECASE)


@pytest.fixture
def api(tenant):
    return caller(tenant)


@pytest.fixture
def shapes(make):
    return make(dedup_threshold=0.98)


# --- REST
def test_a_namespace_is_made_changed_and_removed_over_rest(api):
    made = api.post("namespaces", {"slug": "shapes", "dimension": 8})
    assert made.status_code == 201
    assert made["Location"] == "/api/v1/namespaces/shapes"
    etag = api.get("namespaces/shapes")["ETag"]

    changed = api.patch("namespaces/shapes", {"quota": 5}, If_Match=etag)
    assert changed.json()["quota"] == 5
    problem_of(api.patch("namespaces/shapes", {"quota": 6}, If_Match=etag), 412)
    problem_of(api.post("namespaces", {"slug": "shapes"}), 409)

    assert api.delete("namespaces/shapes").status_code == 204
    problem_of(api.get("namespaces/shapes"), 404)
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert [a for a in actions if "namespace" in a] == [
        "namespace.create", "namespace.update", "namespace.delete",
    ]  # fmt: skip


def test_patterns_are_added_searched_and_deleted_over_rest(api, shapes):
    body = {"namespace": "shapes", "items": [{"vector": UNIT, "metadata": {"a": 1}}]}

    first = api.post("patterns", body, Idempotency_Key="k").json()["items"][0]
    assert api.post("patterns", body, Idempotency_Key="k").json()["items"][0] == first
    again = api.post("patterns", body).json()["items"][0]

    assert (first["merged"], again["merged"], again["count"]) == (False, True, 2)
    found = api.post("patterns/search", {"namespaces": ["shapes"], "vectors": [UNIT, UNIT]})
    assert [[hit["id"] for hit in hits] for hits in found.json()["results"]] == [[first["id"]]] * 2
    one = api.get(f"patterns/{first['id']}").json()
    assert (one["vector"], one["metadata"], one["count"]) == (UNIT, {"a": 1}, 2)
    assert [row["id"] for row in api.get("patterns?namespace=shapes").json()["items"]] == [
        first["id"]
    ]
    assert api.get("namespaces/shapes/stats").json()["seen"] == 2
    assert api.delete(f"patterns/{first['id']}").status_code == 204
    problem_of(api.delete(f"patterns/{first['id']}"), 404)
    assert api.post("namespaces/shapes/reindex", {}).json()["patterns"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("patterns", {"namespace": "shapes", "items": []}, 422, "/items"),
        ("patterns", {"namespace": "shapes", "items": [{"vector": [1]}]}, 422, "/vector"),
        ("patterns", {"namespace": "shapes", "items": [{}]}, 422, ""),
        ("patterns", {"namespace": "none", "items": [{"vector": UNIT}]}, 404, None),
        ("patterns/search", {"namespaces": ["shapes"]}, 422, ""),
        ("patterns/search", {"namespaces": ["none"], "vectors": [UNIT]}, 404, None),
        ("patterns/search", {"namespaces": ["shapes"], "vectors": [[1]]}, 422, "/vectors"),
        ("patterns/search", {"namespaces": ["shapes"], "vectors": [UNIT], "filter": {"a": {}}},
         422, "/filter/a"),
        ("namespaces", {"slug": "x", "encoder": "seed-384", "dimension": 8}, 422, "/dimension"),
        ("namespaces", {"slug": "x", "dimension": 0}, 422, "/dimension"),
        ("namespaces/shapes/reindex", {"refit": True}, 422, "/refit"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_a_problem_that_names_the_field(api, shapes, path, body, status, field):
    told = problem_of(api.post(path, body), status)

    if field is not None:
        assert told["errors"][0]["field"] == field


def test_an_encoder_brings_its_dimension(api):
    made = api.post("namespaces", {"slug": "series", "encoder": "minirocket-384"}).json()

    assert made["dimension"] == 384
    body = {"namespace": "series", "items": [{"series": list(range(40))}]}
    added = api.post("patterns", body).json()["items"][0]["id"]
    asked = {"namespaces": ["series"], "series": [list(range(0, 80, 2))]}
    assert api.post("patterns/search", asked).json()["results"][0][0]["id"] == added


def test_what_vectors_are_is_fixed_while_there_are_any(api, shapes):
    memory.add(shapes, UNIT)

    problem_of(api.patch("namespaces/shapes", {"metric": "euclidean"}), 409)
    assert api.patch("namespaces/shapes", {"description": "x"}).status_code == 200
    memory.delete(shapes, Pattern.objects.values_list("pk", flat=True))
    memory.reindex(shapes)
    assert api.patch("namespaces/shapes", {"metric": "euclidean"}).status_code == 200


def test_a_backend_that_cannot_work_here_is_refused_with_the_reason(api, db):
    told = api.post("namespaces", {"slug": "x", "backend": "pgvector"})

    if told.status_code != 201:
        assert "use scan" in problem_of(told, 422)["errors"][0]["message"]
    else:
        assert db == "postgresql"


def test_scopes_are_asked_for(tenant, shapes):
    reader = caller(tenant, "patterns:read")

    assert reader.get("patterns").status_code == 200
    asked = {"namespaces": ["shapes"], "vectors": [UNIT]}
    assert reader.post("patterns/search", asked).status_code == 200
    problem_of(reader.post("patterns", {"namespace": "shapes", "items": [{"vector": UNIT}]}), 403)
    problem_of(caller(tenant, "patterns:write").delete("namespaces/shapes"), 403)


# --- command line
def test_the_command_keeps_and_finds(manage, tenant, tmp_path):
    made = manage("patterns", "namespaces", "--create", "shapes", "--dimension", "2", "--json").json
    assert [one["slug"] for one in made["namespaces"]] == ["shapes"]

    added = manage(
        "patterns", "add", "shapes", "--vector", "[1, 0]", "--metadata", '{"a": 1}', "--json"
    ).json
    manage("patterns", "add", "shapes", "--vector", "[0, 1]")
    said = manage("patterns", "search", "shapes", "--vector", "[2, 1]", "--json").json
    assert said["results"][0]["id"] == added["id"]
    filtered = manage(
        "patterns",
        "search",
        "shapes",
        "--vector",
        "[2, 1]",
        "--filter",
        '{"a": 1}',
        "-k",
        "5",
        "--exact",
        "--json",
    ).json
    assert [one["id"] for one in filtered["results"]] == [added["id"]]

    out = manage("patterns", "export", "shapes").out
    path = tmp_path / "out.ndjson"
    path.write_text(out)
    manage("patterns", "namespaces", "--create", "twin", "--dimension", "2", "--no-dedup")
    assert manage("patterns", "import", "twin", path, "--json").json["new"] == 2
    assert manage("patterns", "import", "twin", "-", "--json", stdin=out).json["new"] == 2
    assert manage("patterns", "stats", "twin", "--json").json["patterns"] == 4
    assert manage("patterns", "delete", "shapes", added["id"], "--json").json == {"deleted": 1}
    assert manage("patterns", "reindex", "shapes", "--json").json["patterns"] == 1
    assert "twin" not in manage("patterns", "namespaces", "--remove", "twin", "--yes").out
    assert manage("patterns", "namespaces", "--change", "shapes", "--quota", "1").code == 0


def test_match_prints_what_recurs_and_draws_it(manage, tenant, tmp_path, random):
    manage(
        "patterns", "namespaces", "--create", "series", "--encoder", "minirocket-384", "--no-dedup"
    )
    bump = np.exp(-(((np.arange(64) - 32) / 8) ** 2))
    known = [bump, *np.cumsum(random.normal(size=(30, 64)), axis=1)]
    lines = "\n".join(json.dumps({"series": one.tolist()}) for one in known)
    manage("patterns", "import", "series", "-", stdin=lines)
    samples = 0.1 * random.normal(size=1000)
    samples[480:544] += 5 * bump
    path = tmp_path / "load.csv"
    path.write_text("time;load\n" + "\n".join(f"{n};{v}" for n, v in enumerate(samples)))

    drawn = tmp_path / "load.html"
    argv = ("--column", "load", "--window", "64", "--step", "16", "--score", "0.7", "--json")
    said = manage("patterns", "match", "series", path, "--picture", drawn, *argv).json

    first = Pattern.objects.order_by("id")[0].pk
    assert (480, first) in [(one["first"], one["pattern"]) for one in said["recurrences"]]
    assert "<svg" in drawn.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "argv",
    [
        ("add", "none", "--vector", "[1]"),
        ("add", "shapes", "--vector", "[1]"),
        ("add", "shapes", "--vector", "x"),
        ("add", "shapes", "--vector", "[true]"),
        ("add", "shapes", "--vector", "[NaN]"),
        ("add", "shapes", "--vector", "@missing"),
        ("add", "shapes"),
        ("add", "shapes", "--series", "[1, 2, 3]"),
        ("search", "shapes", "--vector", "[1]", "-k", "0"),
        ("search", "shapes", "--vector", "[1,1,1,1,1,1,1,1]", "--filter", "[]"),
        ("search", "west:shapes", "--vector", "[1]"),
        ("delete", "shapes", "x"),
        ("import", "shapes", "missing.ndjson"),
        ("match", "shapes", "missing.csv"),
        ("namespaces", "--create", "shapes"),
        ("namespaces", "--create", "a b"),
        ("namespaces", "--quota", "3"),
        ("namespaces", "--change", "none", "--quota", "3"),
        ("namespaces", "--remove", "shapes"),
        ("stats", "shapes", "--tenant", "nobody"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_is_one_line_and_exit_2(fails, shapes, argv):
    fails(2, "patterns", *argv)


# --- admin
@pytest.fixture
def desk(tenant):
    client = Client()
    client.force_login(User.objects.create_user("boss", is_staff=True, is_superuser=True))
    return client


def test_every_page_of_the_admin_renders(desk, shapes):
    memory.add(shapes, UNIT, metadata={"a": "<script>"})
    pages = [
        reverse(f"admin:patterns_{model}_{page}", args=args)
        for model, row in (("namespace", shapes), ("pattern", Pattern.objects.get()))
        for page, args in (("changelist", ()), ("change", (row.pk,)), ("history", (row.pk,)))
    ]

    for page in [*pages, reverse("admin:patterns_namespace_add")]:
        answer = desk.get(page)
        assert answer.status_code == 200, page
        assert not INLINE.search(answer.content.decode())


def form(**columns):
    return {
        "slug": "new", "description": "", "dimension": 8, "encoder": "", "metric": "cosine",
        "backend": "scan", "quota": 100, "dedup_threshold": "0.9", **columns,
    }  # fmt: skip


def test_the_admin_makes_changes_and_removes(desk, tenant):
    add = reverse("admin:patterns_namespace_add")

    assert desk.post(add, form(tenant=tenant.pk)).status_code == 302
    row = Namespace.objects.get(slug="new")
    memory.add(row, UNIT)
    page = reverse("admin:patterns_namespace_change", args=[row.pk])
    assert desk.post(page, form(quota=7)).status_code == 302
    row.refresh_from_db()
    assert (row.quota, row.live, row.revision) == (7, 1, 2)
    refused = desk.post(page, form(metric="euclidean"))
    assert "cannot change while new holds patterns" in refused.content.decode()
    wrong = desk.post(add, form(tenant=tenant.pk, slug="x", encoder="seed-384"))
    assert "makes 384 dimensions" in wrong.content.decode()

    before = row.generation
    desk.post(reverse("admin:patterns_namespace_reindex", args=[row.pk]))
    row.refresh_from_db()
    assert row.generation == before + 1
    assert (
        desk.post(
            reverse("admin:patterns_namespace_delete", args=[row.pk]), {"post": "yes"}
        ).status_code
        == 302
    )
    assert not Pattern.objects.exists()


def test_the_admin_changes_what_an_empty_namespace_is_for(desk, tenant):
    row = Namespace.objects.create(tenant=tenant, slug="new", dimension=8)
    assert memory.search(row, UNIT) == []
    page = reverse("admin:patterns_namespace_change", args=[row.pk])

    assert desk.post(page, form(dimension=2)).status_code == 302
    row.refresh_from_db()
    added = memory.add(row, [1, 0])
    assert [one.id for one in memory.search(row, [1, 0])] == [added.id]
    memory.delete(row, [added.id])
    memory.reindex(row)

    assert desk.post(page, form(dimension=384, encoder="seed-384")).status_code == 302
    row.refresh_from_db()
    wave = [n % 8 for n in range(64)]
    assert memory.search_series(row, [wave]) == [[]]
    assert memory.add(row, series=wave).count == 1
