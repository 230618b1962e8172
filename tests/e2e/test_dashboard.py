"""The first page in a real browser: live, quiet, readable at any width and in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.valkey, pytest.mark.timeout(300)]


def board_of(page, site):
    page.goto(f"{site.url}/")
    page.wait_for_event("request", lambda request: request.url.endswith("/feed"))
    return page


def test_a_submitted_task_appears_runs_and_ends_without_a_reload(page, site, complaints):
    page.goto(f"{site.url}/")
    page.evaluate("window.notReloaded = true")
    row = page.locator("#swarm-research")
    expect(row).to_be_visible()
    site.submit("nap", seconds=4)
    expect(page.locator("#running").get_by_role("link", name="nap")).to_be_visible()
    expect(row.locator("td[data-label='Running']")).to_have_text("1")
    expect(page.locator("#running").get_by_role("link", name="nap")).to_have_count(0)
    assert page.evaluate("window.notReloaded")
    assert complaints.console == []
