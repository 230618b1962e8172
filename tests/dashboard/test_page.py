"""The page tells what the rows say, to those who may see them, and to nobody else."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from coordination.models import Lane, Status, Swarm

MOST_QUERIES = 28


def text_of(html):
    """What a reader sees of a piece of HTML, its spaces made one."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def section(html, name):
    """The inside of the section of that id."""
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def cells(html, row):
    """The texts of a row's cells by the names of their columns."""
    inside = html.split(f'id="{row}"')[1].split("</tr>")[0]
    found = re.findall(r'<td data-label="([^"]+)"[^>]*>(.*?)</td>', inside, re.DOTALL)
    return {label: text_of(content) for label, content in found}


@pytest.fixture
def html(desk):
    """Ask for the page; its HTML."""

    def ask(address="/", client=desk):
        answer = client.get(address)
        assert answer.status_code == 200
        return answer.content.decode()

    return ask


class TestTruth:
    def test_a_swarm_shows_its_agents_and_its_tasks_by_state(self, place, staff, html):
        swarm = place.swarm("research", agents=3)
        definition = place.definition("look", swarm)
        waiting, sent, held, dead = (place.tasks(definition, n) for n in (4, 2, 1, 1))
        assert len(waiting) == 4
        place.moved(sent, Status.DISPATCHED)
        place.moved(held, Status.DISPATCHED, Status.RUNNING)
        place.dead(dead)
        place.attempt(dead[0], "succeeded")
        assert cells(html(), "swarm-research") == {
            "Load": "0 of 3 slots",
            "Agents": "3",
            "Waiting": "4",
            "In flight": "3",
            "Running": "1",
            "Done, 1 min": "1",
            "Dead": "1",
        }

    def test_a_slot_holds_an_envelope_however_many_tasks_are_in_it(self, place, staff, html):
        definition = place.definition("look", place.swarm("research", agents=4))
        ids = place.tasks(definition, 5)
        place.moved(ids, Status.DISPATCHED, envelope="00000000-0000-0000-0000-000000000001")
        row = cells(html(), "swarm-research")
        assert row["Load"] == "1 of 4 slots"
        assert row["In flight"] == "5"

    def test_success_longer_ago_than_a_minute_is_not_done_in_the_last_one(self, place, staff, html):
        ids = place.tasks(place.definition("look", place.swarm("research")))
        place.attempt(ids[0], "succeeded", ended_at=timezone.now() - timedelta(seconds=90))
        assert cells(html(), "swarm-research")["Done, 1 min"] == "0"

    def test_queues_show_depth_and_oldest_age_by_priority(self, place, staff, html):
        definition = place.definition("look", place.swarm("research"), pool="io")
        place.tasks(definition, 3, priority=9)
        place.tasks(definition, 1, priority=2)
        queues = section(html(), "queues")
        assert "priority 9: 3 oldest 0." in text_of(queues)
        assert "priority 2: 1 oldest 0." in text_of(queues)
        assert "3 of priority 9, 1 of priority 2" in queues
        assert "Nothing waits for the cpu pool" in queues

    def test_a_running_task_shows_where_it_runs_since_when_and_how_far(self, place, staff, html):
        ids = place.tasks(place.definition("look", place.swarm("research")))
        began = timezone.now() - timedelta(seconds=75)
        place.moved(ids, Status.DISPATCHED)
        place.moved(ids, Status.RUNNING, worker=staff["cpu"], started_at=began)
        place.attempt(ids[0], "running", ended_at=None, progress=0.42, note="window 42")
        running = section(html(), "running")
        for told in ("look", "research", staff["cpu"].name, "1 min", "42 % window 42"):
            assert told in text_of(running)
        assert f"/admin/coordination/task/{ids[0]}/change/" in running

    def test_a_member_of_an_envelope_whose_turn_has_not_come_is_not_said_to_run_since(
        self, place, staff, html
    ):
        ids = place.tasks(place.definition("look", place.swarm("research")))
        place.moved(ids, Status.DISPATCHED, Status.RUNNING)
        assert "next in its envelope" in section(html(), "running")

    def test_a_failure_shows_its_error_and_leads_to_its_task(self, place, staff, html):
        ids = place.tasks(place.definition("look", place.swarm("research")))
        place.attempt(ids[0], "timed_out", error_type="TimeLimit", error_message="over 5 s")
        failures = section(html(), "failures")
        assert "timed out look research · attempt 1" in text_of(failures)
        assert "TimeLimit over 5 s" in text_of(failures)
        assert f"/admin/coordination/task/{ids[0]}/change/" in failures

    def test_what_a_task_wrote_is_text_and_never_markup(self, place, staff, html):
        ids = place.tasks(place.definition("look", place.swarm("research")))
        place.attempt(ids[0], error_type="E", error_message="<script>alert(1)</script>")
        assert "<script>alert" not in html()

    def test_workers_show_slots_state_and_memory(self, staff, html):
        row = cells(html(), f"worker-{staff['io'].pk}")
        assert row["State"] == "✓ alive"
        assert row["Slots free"] == "3 of 4 io"
        assert row["Memory"] == "250 MiB"

    def test_checks_show_state_icon_and_word(self, place, staff, html):
        place.check("gateway", "degraded")
        assert "▲ degraded gateway 3.5 ms" in text_of(section(html(), "checks"))

    def test_the_region_is_the_page_without_its_frame(self, place, staff, html):
        place.swarm("research")
        assert 'id="swarm-research"' in html("/board")
        assert "<html" not in html("/board")


class TestEmptiness:
    def test_nothing_at_all_says_the_next_command_everywhere(self, tenant, html):
        Swarm.objects.all().delete()
        page = html()
        assert "manage.py swarm apply" in section(page, "swarms")
        assert "manage.py demo" in section(page, "swarms")
        assert "manage.py submit" in section(page, "queues")
        assert "manage.py submit" in section(page, "running")
        assert "manage.py dead list" in section(page, "failures")
        assert "manage.py worker" in section(page, "workers")
        assert "manage.py watch" in section(page, "checks")

    def test_all_is_well_is_said_in_words(self, staff, html):
        assert "Nothing: a coordinator leads" in section(html(), "attention")


class TestStrangers:
    def test_another_tenants_rows_are_absent(self, place, elsewhere, staff, person):
        swarm = elsewhere.swarm("secret-swarm")
        definition = elsewhere.definition("secret-work", swarm)
        waiting, held, failed = (elsewhere.tasks(definition, 2) for _ in range(3))
        elsewhere.moved(held, Status.DISPATCHED, Status.RUNNING)
        elsewhere.dead(failed)
        elsewhere.attempt(failed[0], error_message="secret-error")
        elsewhere.check("secret-check", "failed", tenant=elsewhere.tenant)
        Lane.objects.create(tenant=elsewhere.tenant, key="secret-lane", halted=True)
        ours = person("member", of=place.tenant)
        theirs = person("other", of=elsewhere.tenant)
        for address in ("/", "/board"):
            page = ours.get(address).content.decode()
            assert "secret" not in page
            assert not any(str(task) in page for task in (*waiting, *held, *failed))
            assert "secret-error" in theirs.get(address).content.decode()

    def test_another_tenants_board_is_refused_to_a_member(self, tenant, elsewhere, person):
        client = person("member", of=tenant)
        for address in ("/", "/board"):
            assert client.get(f"{address}?tenant=elsewhere").status_code == 403
            assert client.get(f"{address}?tenant=nowhere").status_code == 403

    def test_a_superuser_sees_default_and_may_choose_any(self, place, elsewhere, desk):
        place.swarm("ours")
        elsewhere.swarm("theirs")
        page = desk.get("/").content.decode()
        assert 'id="swarm-ours"' in page
        assert 'id="swarm-theirs"' not in page
        assert '<a href="?tenant=elsewhere"' in page
        chosen = desk.get("/?tenant=elsewhere").content.decode()
        assert 'id="swarm-theirs"' in chosen
        assert 'hx-get="/board?tenant=elsewhere"' in chosen

    def test_somebody_of_no_tenant_is_refused(self, tenant, person):
        answer = person("stranger").get("/")
        assert answer.status_code == 403
        assert "You are a member of no tenant: ask an admin" in answer.content.decode()

    def test_a_disabled_tenants_board_is_refused(self, elsewhere, person):
        client = person("member", of=elsewhere.tenant)
        elsewhere.tenant.enabled = False
        elsewhere.tenant.save()
        assert client.get("/").status_code == 403


class TestAccess:
    def test_the_page_leads_to_the_login_and_back(self, db):
        answer = Client().get("/")
        assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/")

    def test_the_region_sends_the_whole_page_to_the_login(self, db):
        answer = Client().get("/board", headers={"HX-Request": "true"})
        assert (answer.status_code, answer["HX-Redirect"], answer.content) == (401, "/", b"")

    def test_the_feed_is_closed_to_the_world(self, db):
        assert Client().get("/feed").status_code == 401

    @pytest.mark.parametrize("address", ["/", "/board", "/feed"])
    def test_pages_are_only_read(self, address, desk):
        assert desk.post(address).status_code == 405


class TestManners:
    def test_queries_do_not_grow_with_the_rows(self, place, staff, desk):
        def grow(numbers):
            for number in numbers:
                swarm = place.swarm(f"swarm-{number}", agents=2)
                definition = place.definition(f"work-{number}", swarm)
                ids = place.tasks(definition, 3)
                place.moved(ids[:1], Status.DISPATCHED, Status.RUNNING)
                place.attempt(ids[1])
                place.check(f"check-{number}")

        grow(range(1))
        with CaptureQueriesContext(connection) as few:
            desk.get("/")
        grow(range(1, 12))
        with CaptureQueriesContext(connection) as many:
            desk.get("/")
        assert len(many) == len(few)
        assert len(many) <= MOST_QUERIES

    def test_the_page_needs_no_inline_script_and_no_style_attribute(self, place, staff, html):
        definition = place.definition("look", place.swarm("research"))
        place.attempt(place.tasks(definition, 2)[0])
        page = html()
        assert not re.search(r"\sstyle=", page)
        assert not re.search(r"<style|\son\w+=|javascript:", page)
        assert all('src="' in tag for tag in re.findall(r"<script[^>]*>", page))

    def test_no_answer_is_kept_by_a_browser_or_proxy(self, desk, tenant):
        for address in ("/", "/board"):
            answer = desk.get(address)
            assert answer["Cache-Control"] == "no-store, private"
            assert "default-src 'self'" in answer["Content-Security-Policy"]

    def test_flower_is_linked_only_where_it_is(self, html, tenant, settings):
        settings.ANSF = {**configured.ANSF, "FLOWER_URL": ""}
        assert "Flower" not in html()
        settings.ANSF = {**configured.ANSF, "FLOWER_URL": "http://127.0.0.1:5555/"}
        assert '<a href="http://127.0.0.1:5555/" rel="noreferrer">Flower</a>' in html()

    def test_admin_and_api_are_linked(self, html, tenant):
        assert 'href="/admin/"' in html()
        assert 'href="/api/v1/docs"' in html()

    def test_the_favicon_is_where_browsers_ask_for_it(self, client):
        assert client.get("/favicon.ico")["Location"].endswith("favicon.svg")
