"""The feed of a real web process: it holds nothing, ends in time, and its loss is told."""

from __future__ import annotations

import http.client
import re
from contextlib import ExitStack

import psycopg
import pytest
from playwright.sync_api import expect

from ansf_platform.services.probes import wait_until
from tests.e2e.conftest import start_web

pytestmark = [pytest.mark.browser, pytest.mark.valkey, pytest.mark.timeout(300)]

STREAMS = 8
HELLO = [b"retry: 1000\n", b"\n", b"event: changed\n", b"data:\n", b"\n"]
DEADLINE_S = 20.0


def open_stream(site, key, streams):
    """An open stream, its greeting read."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=DEADLINE_S)
    streams.callback(connection.close)
    headers = {"Cookie": f"sessionid={key}", "Accept-Encoding": "gzip, br"}
    connection.request("GET", "/feed", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert [answer.readline() for _ in HELLO] == HELLO
    return answer


@pytest.fixture(scope="session")
def key_on_postgres(site_on_postgres):
    return site_on_postgres.sign_in()


def connections_to(postgres, name="pages"):
    """How many connections that database has."""
    with psycopg.connect(postgres.url) as connection:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE %s"
        return connection.execute(counted, [f"{name}%"]).fetchone()[0]


def test_events_come_at_once_though_the_client_accepts_compression(site, session_key):
    with ExitStack() as streams:
        answer = open_stream(site, session_key, streams)
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Content-Encoding"] == "identity"


@pytest.mark.postgres
def test_streams_share_one_reader_and_hold_no_connection(
    site_on_postgres, key_on_postgres, postgres
):
    with ExitStack() as streams:
        for _ in range(STREAMS):
            open_stream(site_on_postgres, key_on_postgres, streams)
        assert wait_until(lambda: connections_to(postgres) == 1, DEADLINE_S)
    assert wait_until(lambda: connections_to(postgres) == 0, DEADLINE_S)


@pytest.mark.postgres
def test_a_notification_of_postgresql_reaches_every_client(
    site_on_postgres, key_on_postgres, postgres
):
    with ExitStack() as streams:
        answers = [open_stream(site_on_postgres, key_on_postgres, streams) for _ in range(2)]
        site_on_postgres.shell("from coordination import sql; sql.notify()")
        for answer in answers:
            assert answer.readline() == b"event: changed\n"


def test_a_server_that_is_asked_to_stop_ends_its_streams(second_site, session_key):
    with ExitStack() as streams:
        answers = [open_stream(second_site, session_key, streams) for _ in range(STREAMS)]
        second_site.web.begin_stop()
        assert wait_until(lambda: not second_site.web.alive, DEADLINE_S)
        for answer in answers:
            assert answer.read() in {b"", b"event: changed\ndata:\n\n"}  # raises if cut off


def test_a_lost_server_is_told_what_is_old_is_grey_and_all_mends_itself(page, second_site):
    page.goto(f"{second_site.url}/")
    banner = page.get_by_role("alert")
    expect(banner).to_be_hidden()
    second_site.stack.processes[second_site.name].stop(deadline_s=DEADLINE_S)
    expect(banner).to_have_text(re.compile(r"server does not answer.*is from \d"))
    expect(page.locator("#board")).to_have_class(re.compile("stale"))
    start_web(second_site.stack, second_site.port, second_site.name)
    expect(banner).to_be_hidden()
    expect(page.locator("#board")).not_to_have_class(re.compile("stale"))


def test_a_script_that_comes_late_does_not_cost_the_feed(page, site):
    def late(route):
        page.wait_for_timeout(500)
        route.continue_()

    page.route("**/hx-sse-4.min.js", late)
    with page.expect_response("**/feed") as feed:
        page.goto(f"{site.url}/")
    assert feed.value.status == 200


def test_a_lost_feed_is_told_and_the_page_asks_by_itself(page, site):
    page.route("**/feed", lambda route: route.abort())
    page.goto(f"{site.url}/")
    expect(page.get_by_role("alert")).to_contain_text("live feed is lost")
    site.submit("stroll", seconds=15)
    expect(page.locator("#running").get_by_role("link", name="stroll").first).to_be_visible()
    expect(page.locator("#board")).not_to_have_class(re.compile("stale"))


def test_an_error_of_the_server_never_replaces_what_was_true(page, site):
    page.route(
        "**/board*",
        lambda route: route.fulfill(status=500, content_type="text/html", body="<p>a defect</p>"),
    )
    page.goto(f"{site.url}/")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(page.locator("#swarm-research")).to_be_visible()
    expect(page.get_by_text("a defect")).to_have_count(0)


def test_an_ended_session_leads_to_the_login(page, site):
    page.goto(f"{site.url}/")
    expect(page.locator("#swarm-research")).to_be_visible()
    page.context.clear_cookies()
    expect(page).to_have_url(re.compile(r"/admin/login/\?next=/"))
