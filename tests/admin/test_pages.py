"""Every page of every model renders with data in it, and none runs anything inline."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

APPS = ("accounts", "coordination")
MODELS = [model for label in APPS for model in apps.get_app_config(label).get_models()]
NAMES = [model._meta.label for model in MODELS]
INLINE = re.compile(r"<style|<script(?![^>]*\bsrc=)[^>]*>[^<]|\son\w+=|\sstyle=", re.IGNORECASE)


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture(params=MODELS, ids=NAMES)
def model(request):
    return request.param


def content_of(response):
    assert response.status_code == 200, response.headers
    return response.content.decode()


def test_every_model_is_registered(model):
    assert admin.site.is_registered(model)


def test_the_list_shows_rows(desk, world, model):
    page = content_of(desk.get(address(model, "changelist")))

    assert model.objects.exists()
    assert 'class="action-select"' in page or "results" in page
    assert "<tbody>" in page


def test_the_search_answers(desk, world, model):
    options = admin.site.get_model_admin(model)

    if options.search_fields:
        content_of(desk.get(address(model, "changelist"), {"q": "daily"}))
        content_of(desk.get(address(model, "changelist"), {"q": "0" * 32}))


def test_the_page_of_a_row_renders_without_inline_code(desk, world, model):
    row = model.objects.first()

    page = content_of(desk.get(address(model, "change", row.pk)))

    assert not INLINE.search(page), INLINE.search(page)


def test_the_form_for_a_new_row_renders_or_there_is_none(desk, world, model):
    options = admin.site.get_model_admin(model)
    response = desk.get(address(model, "add"))

    may_add = options.has_add_permission(response.wsgi_request)
    assert response.status_code == (200 if may_add else 403)


def test_the_history_of_a_row_renders(desk, world, model):
    content_of(desk.get(address(model, "history", model.objects.first().pk)))


def test_every_filter_of_every_list_answers(desk, world, model):
    page = content_of(desk.get(address(model, "changelist")))

    links = re.findall(r'<a href="(\?[^"]+)"', page)
    for link in links:
        content_of(desk.get(address(model, "changelist") + link.replace("&amp;", "&")))


@pytest.mark.parametrize("query", ["before=x", "after=", "before=1&after=2", "created=never",
                                   "priority=x", "swarm=" + "9" * 40, "o=1.-2", "p=7", "foo=1",
                                   "status__exact=x", "q=%00", "definition=%00"])  # fmt: skip
def test_a_wrong_address_of_the_task_list_is_no_server_error(desk, world, query):
    response = desk.get(f"/admin/coordination/task/?{query}", follow=True)

    assert response.status_code == 200


def test_the_front_page_names_the_platform_and_links_the_rest(desk, world):
    page = content_of(desk.get("/admin/"))

    assert "| ANSF</title>" in page
    assert f'href="{reverse("api-docs")}"' in page
    assert 'href="/"' in page


def test_a_task_page_tells_its_life(desk, world):
    page = content_of(desk.get(f"/admin/coordination/task/{world['task'].pk}/change/"))

    for heading in ("Timeline", "Attempts", "Log", "Payload", "Result"):
        assert f"<h2>{heading}</h2>" in page
    assert "a line that the handler logged" in page
    assert "cpu@host" in page
    assert "12.5 ms" in page


def test_what_a_handler_raised_is_text_and_not_markup(desk, world):
    page = content_of(desk.get(f"/admin/coordination/task/{world['task'].pk}/change/"))

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_run_page_shows_its_nodes(desk, world):
    run = apps.get_model("coordination", "Run").objects.get()

    page = content_of(desk.get(f"/admin/coordination/run/{run.pk}/change/"))

    assert "1 ready" in page
    assert "1 blocked" in page


def test_a_list_of_runs_says_where_their_tasks_stand(desk, world):
    assert "1 ready" in content_of(desk.get("/admin/coordination/run/"))


def test_flower_is_linked_where_its_address_is_known(desk, settings):
    without = content_of(desk.get("/admin/"))
    settings.ANSF = {**settings.ANSF, "FLOWER_URL": "http://127.0.0.1:5555/"}

    assert ">Flower</a>" not in without
    assert 'href="http://127.0.0.1:5555/"' in content_of(desk.get("/admin/"))


@pytest.mark.parametrize("name", ["blob", "lease", "counter", "task", "swarm"])
def test_an_id_that_no_row_can_have_is_not_found(desk, world, name):
    for wrong in ("_00", "x", "99999999999999999999", "%00"):
        response = desk.get(f"/admin/coordination/{name}/{wrong}/change/")

        assert response.status_code == 302  # to the front page, with a message


@pytest.mark.parametrize("query", ["name=%00", "slug__exact=%00", "id=99999999999999999999"])
def test_a_wrong_address_of_a_short_list_is_no_server_error(desk, world, query):
    assert desk.get(f"/admin/coordination/swarm/?{query}", follow=True).status_code == 200
