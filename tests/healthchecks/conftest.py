"""Real things to look at: a listener, a small web server, checks that were never saved."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from healthchecks.models import HealthCheck

ROOT = Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "SECRET_KEY", "DEBUG")


class Listener:
    """Accepts TCP connections on a free port until it is stopped."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.stop()


class Site:
    """An HTTP server whose pages are functions that get the request handler."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.pages.get(self.path, missing)(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def page(self, path: str, status: int = 200, body: bytes = b"", **headers: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.pages[path] = answer

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    yield server
    server.stop()


@pytest.fixture
def unsaved() -> Callable[..., HealthCheck]:
    """A platform-wide check of a superuser that is in no table."""

    def make(kind: str, target: str = "", **columns: Any) -> HealthCheck:
        columns = {"trusted": True, "timeout_seconds": 2.0, "name": "it"} | columns
        return HealthCheck(kind=kind, target=target, **columns)

    return make


class Installation:
    """A state directory of its own, and commands run in it as processes."""

    def __init__(self, directory: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        self.database = directory / "ansf.sqlite3"
        self.environment = kept | {"ANSF_STATE_DIR": str(directory)} | environment

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)
            if process.stderr:
                process.stderr.close()


@pytest.fixture
def installation(tmp_path: Path) -> Callable[..., Installation]:
    def make(**environment: str) -> Installation:
        return Installation(tmp_path / "state", **environment)

    return make


@pytest.fixture
def migrated(installation: Callable[..., Installation], migrated_file: Any) -> Installation:
    """An installation on SQLite whose tables are there."""
    here = installation()
    migrated_file(here.database)
    return here
