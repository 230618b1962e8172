"""TCP and HTTP probes against real listeners, and what they refuse to connect to."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

import pytest
from django.utils import timezone

from ansf_platform import addresses
from ansf_platform.accounts.models import Tenant
from healthchecks.monitor import State
from healthchecks.probes import measure, web
from healthchecks.probes.measurement import TargetInvalid
from healthchecks.probes.tcp import split_target


def look(check):
    return measure(check, timezone.now())


# --- TCP -----------------------------------------------------------------------------------
def test_a_port_that_listens_is_ok_and_one_that_stopped_is_failed(listener, unsaved):
    check = unsaved("tcp", listener.target)

    before = look(check)
    listener.stop()
    after = look(check)

    assert (before.state, before.unit) == (State.OK, "ms")
    assert after.state is State.FAILED
    assert "refused" in after.message
    assert after.fix


def test_connecting_slower_than_the_limit_is_degraded(listener, unsaved):
    found = look(unsaved("tcp", listener.target, params={"degraded_ms": 0}))

    assert found.state is State.DEGRADED


@pytest.mark.parametrize(
    "target", ["", "host", "host:", ":80", "host:0x", "host:70000", "u@host:1", "host:1/x", "a b"]
)
def test_a_target_that_is_no_host_and_port_is_refused(target):
    with pytest.raises(TargetInvalid, match=r"host:port|1 to 65535"):
        split_target(target)


def test_an_ipv6_target_is_taken_in_brackets():
    assert split_target("[::1]:5432") == ("::1", 5432)


# --- where a check may connect to -----------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - not bound, refused
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_addresses_that_not_everybody_reaches_are_not_public(address):
    assert not addresses.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_that_everybody_reaches_are_public(address):
    assert addresses.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("kind", ["tcp", "http"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1"])
def test_a_tenants_check_reaches_no_private_address_however_it_is_written(
    site, unsaved, kind, host
):
    target = f"{host}:{site.port}" if kind == "tcp" else f"http://{host}:{site.port}/"

    found = look(unsaved(kind, target, tenant=Tenant(pk=1, slug="t")))

    assert found.state is State.FAILED
    assert "not a public address" in found.message
    assert site.asked == []


def test_a_platform_check_of_somebody_untrusted_reaches_no_private_address(site, unsaved):
    found = look(unsaved("http", site.url, trusted=False))

    assert "not a public address" in found.message


def test_the_operator_may_allow_private_addresses_for_all(site, unsaved, settings):
    settings.ANSF = settings.ANSF | {"ALLOW_PRIVATE_FETCH": True}
    site.page("/")

    found = look(unsaved("http", f"{site.url}/", tenant=Tenant(pk=1, slug="t")))

    assert found.state is State.OK


def test_each_hop_of_a_redirect_is_judged_anew(site, unsaved, monkeypatch):
    # The name is public on the first hop; the redirect leads to this machine.
    site.page("/go", 302, Location="http://localhost:1/secret")
    monkeypatch.setattr(
        addresses, "is_public", lambda address: str(address) == "127.0.0.1" and not hops.pop()
    )
    hops = [True, False]

    found = look(unsaved("http", f"{site.url}/go", tenant=Tenant(pk=1, slug="t")))

    assert "localhost leads to" in found.message
    assert site.asked == ["/go"]


def test_the_name_is_resolved_once_per_hop_and_the_connection_goes_there(
    site, unsaved, monkeypatch
):
    site.page("/")
    asked = []

    def answer(host, port, until):
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(addresses, "_lookup", answer)

    found = look(unsaved("http", f"http://name.invalid:{site.port}/"))

    assert found.state is State.OK
    assert asked == ["name.invalid"]


# --- HTTP ----------------------------------------------------------------------------------
def test_a_page_that_answers_200_is_ok(site, unsaved):
    site.page("/health?full=1", body=b"all well")

    found = look(unsaved("http", f"{site.url}/health?full=1", params={"contains": "well"}))

    assert found.state is State.OK
    assert found.value is not None


@pytest.mark.parametrize(
    ("params", "reason"),
    [({}, "answered 503"), ({"status": [503], "contains": "well"}, "without the text 'well'")],
)
def test_another_status_or_a_missing_text_is_failed(site, unsaved, params, reason):
    site.page("/", 503, b"down")

    found = look(unsaved("http", f"{site.url}/", params=params))

    assert found.state is State.FAILED
    assert reason in found.message


def test_three_redirects_are_followed_and_a_fourth_is_not(site, unsaved):
    for hop in range(4):
        site.page(f"/{hop}", 302, Location=f"/{hop + 1}")
    site.page("/4")

    far = look(unsaved("http", f"{site.url}/0"))
    near = look(unsaved("http", f"{site.url}/1"))

    assert (far.state, near.state) == (State.FAILED, State.OK)
    assert "302" in far.message


@pytest.mark.parametrize(
    "location", ["ftp://example.com/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "http://["]
)
def test_a_redirect_to_something_else_than_http_is_failed(site, unsaved, location):
    site.page("/", 302, Location=location)

    found = look(unsaved("http", f"{site.url}/"))

    assert found.state is State.FAILED


def test_no_more_than_64_kb_of_a_body_are_read(site):
    site.page("/", body=b"x" * 200_000)
    place = web.split_url(f"{site.url}/")

    answer = web.get(place, private=True, until=time.monotonic() + 5)

    assert len(answer.body) == web.BODY_BYTES


def test_a_server_that_drips_bytes_is_given_up_at_the_timeout(unsaved):
    done = threading.Event()

    def drip(server):
        with server, server.accept()[0] as peer:
            try:
                peer.sendall(b"HTTP/1.1 200 OK\r\n")
                while not done.wait(0.02):
                    peer.sendall(b"X: y\r\n" if not done.is_set() else b"")
            except OSError:
                return

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=drip, args=(server,))
    thread.start()
    port = server.getsockname()[1]

    found = look(unsaved("http", f"http://127.0.0.1:{port}/", timeout_seconds=0.3))

    done.set()
    thread.join(5)
    assert found.state is State.FAILED


def test_a_server_that_never_answers_is_given_up_at_the_timeout(listener, unsaved):
    found = look(unsaved("http", f"http://{listener.target}/", timeout_seconds=0.2))

    assert found.state is State.FAILED
    assert "in time" in found.message


def test_something_that_does_not_speak_http_is_failed_with_a_reason(unsaved):
    server = socket.create_server(("127.0.0.1", 0))

    def greet():
        with server, server.accept()[0] as peer:
            peer.sendall(b"SSH-2.0-something\r\n")

    thread = threading.Thread(target=greet)
    thread.start()

    found = look(unsaved("http", f"http://127.0.0.1:{server.getsockname()[1]}/"))

    thread.join(5)
    assert found.state is State.FAILED
    assert found.message


def test_https_to_a_server_without_tls_is_failed(site, unsaved):
    found = look(unsaved("http", f"https://127.0.0.1:{site.port}/"))

    assert found.state is State.FAILED


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "http"),
        ("ftp://example.com", "http"),
        ("http:///x", "http"),
        ("http://user:pw@example.com/", "credentials"),
        ("http://example.com:99999/", "URL"),
        ("http://example.com/a b", "percent-encode"),
        ("http://exämple.com/", "percent-encode"),
        ("http://example.com/\r\nX: y", "percent-encode"),
        ("http://[::1/", "URL"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_with_the_reason(url, reason):
    with pytest.raises(TargetInvalid, match=reason):
        web.split_url(url)


def test_an_unknown_name_is_a_failed_reading(unsaved):
    found = look(unsaved("tcp", "nobody.invalid:80"))

    assert found.state is State.FAILED


def test_an_unknown_kind_is_a_failed_reading_that_names_the_known_ones(unsaved):
    found = look(unsaved("pigeon"))

    assert "pigeon" in found.message
    assert "tcp" in found.fix
