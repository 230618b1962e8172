"""Attempts to sign in: counted by address and by name before a password is looked at."""

from __future__ import annotations

import pytest
from django.contrib.auth import signals
from django.test import Client

ADDRESS = "/admin/login/?next=/admin/"
PASSWORD = "a password that is long"
WRONG = "wrong"


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def person(db, django_user_model):
    return django_user_model.objects.create_superuser("Mara", password=PASSWORD)


@pytest.fixture
def three_attempts(server, only, limit):
    slow = {"period_seconds": 3600, "applies_to": "login"}
    limit("login-user", 36, scope="user", burst=3, **slow)
    limit("login-address", 36, scope="address", burst=5, **slow)


def attempt(password=WRONG, username="Mara", address="10.0.0.1"):
    return Client().post(ADDRESS, {"username": username, "password": password}, REMOTE_ADDR=address)


def test_too_many_attempts_for_a_name_are_refused_from_any_address(three_attempts, person):
    tried = [attempt(address=f"10.0.0.{n}").status_code for n in range(4)]

    assert tried == [200, 200, 200, 429]
    denied = attempt(PASSWORD, address="10.0.0.9")
    assert denied.status_code == 429
    assert 95 <= int(denied["Retry-After"]) <= 100
    assert b"too many attempts to sign in" in denied.content


def test_a_refused_attempt_looks_at_no_password(three_attempts, person):
    heard = []

    def hear(**told):
        heard.append(told["credentials"]["username"])

    signals.user_login_failed.connect(hear)
    try:
        for _ in range(5):
            attempt()
    finally:
        signals.user_login_failed.disconnect(hear)

    assert heard == ["Mara"] * 3


def test_a_name_is_the_same_in_whatever_letters(three_attempts, person):
    for name in ("mara", "MARA", " Mara"):
        attempt(username=name)

    assert attempt(PASSWORD).status_code == 429


def test_an_address_that_tries_many_names_is_refused(three_attempts, person):
    tried = [attempt(username=f"user{n}").status_code for n in range(6)]

    assert tried == [200] * 5 + [429]
    assert attempt(PASSWORD, address="10.0.0.2").status_code == 302


def test_who_knows_the_password_is_not_counted(three_attempts, person):
    assert [attempt(PASSWORD).status_code for _ in range(8)] == [302] * 8


def test_the_page_itself_is_not_counted(three_attempts, person):
    assert [Client().get(ADDRESS).status_code for _ in range(10)] == [200] * 10
    assert attempt(PASSWORD).status_code == 302


def test_without_redis_people_can_still_sign_in(nowhere, person):
    assert attempt(PASSWORD).status_code == 302
