"""The first page in a real browser: live, quiet, readable at any width and in both themes."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.valkey, pytest.mark.timeout(300)]

THEMES = ["light", "dark"]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 360, "height": 740}
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="session")
def busy(site):
    """The system with something in every part of the page."""
    site.submit("break", count=2)
    site.submit("idle", count=3)
    site.submit("spin", count=4, seconds=0.2)
    site.submit("vigil", count=3, seconds=600)
    return site


@pytest.fixture
def connected(page):
    """Go to a site's page and wait until its feed is open."""

    def go(site):
        with page.expect_response(lambda answer: answer.url.endswith("/feed")) as feed:
            page.goto(f"{site.url}/")
        assert feed.value.status == 200
        return page

    return go


def test_a_submitted_task_appears_runs_and_ends_without_a_reload(page, site, connected, complaints):
    connected(site)
    page.evaluate("window.notReloaded = true")
    row = page.locator("#swarm-research")
    before = int(row.locator("td[data-label='Done, 1 min']").inner_text())
    site.submit("nap", seconds=4)
    expect(page.locator("#running").get_by_role("link", name="nap")).to_be_visible()
    expect(row.locator("td[data-label='Running']")).to_have_text("1")
    expect(page.locator("#running").get_by_role("link", name="nap")).to_have_count(0)
    expect(row.locator("td[data-label='Done, 1 min']")).to_have_text(str(before + 1))
    assert page.evaluate("window.notReloaded")
    assert complaints.console == []


def test_a_failure_is_told_with_its_error_and_leads_to_its_task(page, site, connected, complaints):
    connected(site)
    site.submit("break")
    failures = page.locator("#failures")
    expect(failures).to_contain_text("RuntimeError asked to fail")
    expect(page.locator("#attention")).to_contain_text("dead letter")
    failures.get_by_role("link", name="break").first.click()
    expect(page).to_have_url(re.compile(r"/admin/coordination/task/[0-9a-f-]{36}/change/"))
    assert complaints.console == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_serious_fault_of_accessibility_and_no_sideways_scroll(
    page, busy, connected, complaints, theme, size
):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(size)
    connected(busy)
    for name in ("attention", "swarms", "queues", "failures", "workers", "checks"):
        expect(page.locator(f"#{name}")).to_be_visible()
    expect(page.locator("#running li")).not_to_have_count(0)
    found = Axe().run(page)
    faults = [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in found.response["violations"]
        if violation["impact"] in SERIOUS
    ]
    assert found.response["passes"]
    assert faults == []
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen
    assert complaints.console == []


def test_the_login_leads_to_the_page(browser, site, session_key):
    page = browser.new_context().new_page()
    page.goto(f"{site.url}/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_title("default · ANSF")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{site.url}/")
    expect(page).to_have_url(re.compile("/admin/login/"))
    page.context.close()


def test_the_two_themes_differ(page, site):
    grounds = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        page.goto(f"{site.url}/")
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(set(grounds)) == 2


def test_the_keyboard_comes_to_the_content_first(page, site):
    page.goto(f"{site.url}/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to what needs you")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_summary_is_spoken_to_those_who_do_not_see_the_page(page, site, connected):
    connected(site)
    status = page.get_by_role("status")
    expect(status).to_have_text(re.compile(r"\d+ waiting, \d+ running, \d+ dead"))


def test_no_motion_for_those_who_want_none(page, busy):
    duration = "getComputedStyle(document.querySelector('#swarms .fill')).transitionDuration"
    page.emulate_media(reduced_motion="no-preference")
    page.goto(f"{busy.url}/")
    assert page.evaluate(duration) != "0s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(duration) == "0s"


def test_the_page_is_whole_without_a_script(browser, busy, storage_state):
    context = browser.new_context(java_script_enabled=False, storage_state=storage_state)
    page = context.new_page()
    page.goto(f"{busy.url}/")
    expect(page.locator("#swarm-research")).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()
    context.close()
