"""``http.fetch`` against a real server: limits, redirects, and where it does not go."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workers.context import GiveUp
from workers.handlers import http

MEGABYTE = 1_000_000
Answer = Callable[[BaseHTTPRequestHandler], None]


class Pages:
    """A server on 127.0.0.1 whose pages are functions of the request."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages.asked.append((self.path, self.headers["Host"]))
                pages.pages[self.path](self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def page(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in ({"Content_Length": str(len(body))} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.pages[path] = answer
        return self.url + path

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def pages() -> Iterator[Pages]:
    server = Pages()
    yield server
    server.stop()


@pytest.fixture
def inside(settings):
    """Private addresses are allowed, as an operator may decide."""
    settings.ANSF = settings.ANSF | {"ALLOW_PRIVATE_FETCH": True}


# --- where it goes ---------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_an_address_inside_is_refused_before_it_is_asked(pages, host):
    port = pages.server.server_port

    with pytest.raises(GiveUp, match="not a public address"):
        http.fetch(f"http://{host}:{port}/")

    assert pages.asked == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "http"),
        ("file:///etc/passwd", "http"),
        ("http:///x", "http"),
        ("//example.com/", "http"),
        ("http://user:secret@example.com/", "credentials"),
        ("http://example.com:99999/", "refused"),
        ("http://exa\nmple.com/", "refused"),
        ("http://[::1/", "refused"),
    ],
)
def test_what_is_no_plain_web_address_is_refused_with_the_reason(url, reason):
    with pytest.raises(GiveUp, match=reason):
        http.fetch(url)


def test_a_name_that_nobody_knows_is_worth_another_attempt():
    with pytest.raises(OSError, match=r"nobody\.invalid"):
        http.fetch("http://nobody.invalid/")


def test_a_redirect_is_judged_like_a_target(pages, inside):
    url = pages.page("/go", status=302, Location="file:///etc/passwd")

    with pytest.raises(GiveUp, match="http"):
        http.fetch(url)


# --- what it brings --------------------------------------------------------------------------
@pytest.mark.usefixtures("inside")
def test_a_page_comes_with_its_status_type_and_text(pages):
    url = pages.page(
        "/caf%C3%A9", "naïve".encode("latin-1"), 404, Content_Type="text/plain; charset=latin-1"
    )

    found = http.fetch(url.replace("%C3%A9", "é"))

    assert found == {
        "url": url.replace("%C3%A9", "é"),
        "address": "127.0.0.1",
        "status": 404,
        "location": "",
        "content_type": "text/plain; charset=latin-1",
        "bytes": 5,
        "text": "naïve",
    }
    assert pages.asked == [("/caf%C3%A9", url.removeprefix("http://").partition("/")[0])]


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("charset", ["utf-8", "nonsense", "punycode", "utf-7"])
def test_text_that_cannot_be_stored_is_replaced(pages, charset):
    body = b"+2AA- \xff\x00."
    url = pages.page("/", body, Content_Type=f"text/plain; charset={charset}")

    text = http.fetch(url)["text"]

    assert "\x00" not in text
    assert text.encode()


@pytest.mark.usefixtures("inside")
def test_redirects_are_followed_as_far_as_allowed(pages):
    pages.page("/b", status=302, Location="c")
    pages.page("/c", b"here")
    url = pages.page("/a", status=307, Location="/b")

    assert http.fetch(url, max_redirects=2)["text"] == "here"
    with pytest.raises(GiveUp, match="more than 1 redirects"):
        http.fetch(url, max_redirects=1)


# --- how much --------------------------------------------------------------------------------
@pytest.mark.usefixtures("inside")
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(pages):
    url = pages.page("/", b"x" * 1000)

    assert http.fetch(url, max_bytes=1000)["bytes"] == 1000
    with pytest.raises(GiveUp, match="larger than 999 bytes"):
        http.fetch(url, max_bytes=999)


@pytest.mark.usefixtures("inside")
def test_a_packed_body_is_unpacked_and_its_unpacked_size_counts(pages):
    url = pages.page("/", gzip.compress(b"x" * 1000), Content_Encoding="gzip")

    assert http.fetch(url, max_bytes=1000)["text"] == "x" * 1000
    with pytest.raises(GiveUp, match="larger than 999 bytes"):
        http.fetch(url, max_bytes=999)


def test_a_bomb_is_never_unpacked_further_than_the_limit():
    bomb = gzip.compress(b"\0" * 50 * MEGABYTE)
    asked: list[int] = []

    class Watched:
        eof = False

        def __init__(self) -> None:
            self.real = zlib.decompressobj(zlib.MAX_WBITS | 16)

        def decompress(self, chunk: bytes, at_most: int) -> bytes:
            asked.append(at_most)
            return self.real.decompress(chunk, at_most)

    found = http._unpacked(Watched(), bomb, MEGABYTE + 1)

    assert (len(found), asked) == (MEGABYTE + 1, [MEGABYTE + 1])


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate"])
def test_a_packing_that_was_not_asked_for_is_refused(pages, encoding):
    url = pages.page("/", b"whatever", Content_Encoding=encoding)

    with pytest.raises(GiveUp, match="not asked for"):
        http.fetch(url)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"short", {"Content_Length": "100"}),
        (gzip.compress(b"x" * 1000)[:-9], {"Content_Encoding": "gzip"}),
        (b"\x1f\x8bnonsense", {"Content_Encoding": "gzip"}),
    ],
)
def test_half_an_answer_is_worth_another_attempt(pages, body, headers):
    url = pages.page("/", body, **headers)

    with pytest.raises(ConnectionError, match=r"cut short|cannot be unpacked"):
        http.fetch(url)


@pytest.mark.usefixtures("inside")
def test_a_server_that_drips_is_left_when_the_time_is_over(pages):
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            while not stop.wait(0.02):
                handler.wfile.write(b".")
        except OSError:
            return

    pages.pages["/"] = drip
    started = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            http.fetch(f"{pages.url}/", timeout=0.3)
    finally:
        stop.set()

    assert time.monotonic() - started < 20  # far below what all the bytes would take
