"""A whole system with a web process, and a browser that notes what goes wrong on a page.

The system is the embedded one on private ports; it runs for the session. Tests share it, and
each submits what it looks for.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from ansf_platform.services.errors import BinaryMissing
from ansf_platform.services.ports import free_port
from ansf_platform.services.probes import http_answers, wait_until
from ansf_platform.services.process import Launch, spawn_logged
from benchmarks.stack import ROOT, Stack

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
START_DEADLINE_S = 60.0
PASSWORD = "only-for-this-test-run"
# Each live test has a definition or a swarm of its own: tests share the system, in any order.
DECLARATION = """
swarms:
  research: {agents: {count: 4, role: analyst, slots: 2}}
  backend: {agents: {count: 8, role: worker}}
  sleepers: {}
definitions:
  nap: {handler: bench.sleep, pool: io, swarm: research}
  stroll: {handler: bench.sleep, pool: io, swarm: backend}
  vigil: {handler: bench.sleep, pool: io, swarm: backend}
  break: {handler: bench.fail, pool: io, swarm: backend, max_attempts: 1}
  spin: {handler: bench.spin, pool: cpu, swarm: backend}
  idle: {handler: bench.noop, pool: cpu, swarm: sleepers}
"""

expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def base_url():
    """In place of a plugin's own, which this pytest warns of; tests name whole addresses."""


@pytest.fixture(scope="session")
def chromium():
    """What starts the browser."""
    if not CHROMIUM.exists():
        absent = f"{CHROMIUM} is not installed: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    return {"executable_path": str(CHROMIUM), "args": ARGUMENTS}


# While Playwright runs, its event loop runs in this thread, where neither asyncio.run nor Django's
# ORM work then: so it lives for one module, not for the session as the plugin has it.
@pytest.fixture(scope="module")
def playwright(chromium):
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright, chromium):
    found = playwright.chromium.launch(**chromium)
    yield found
    found.close()


@pytest.fixture
def browser_context_args(storage_state):
    """Every page is that of somebody who has signed in."""
    return {"storage_state": storage_state}


@dataclass
class Site:
    """The system and where its pages are."""

    stack: Stack
    port: int
    name: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def web(self):
        """The process that serves them."""
        return self.stack.processes[self.name]

    def submit(self, definition, count=1, **payload):
        """Submit tasks in another process, as anybody would."""
        self.shell(
            "from coordination.submission import submit_many; "
            "from coordination.requests import TaskRequest; "
            f"submit_many([TaskRequest(definition={definition!r}, payload={payload!r})] * {count})"
        )

    def sign_in(self):
        """The key of a new superuser's session."""
        return self.shell(
            "from django.contrib.auth.models import User; "
            "from django.test import Client; "
            "client = Client(); "
            f"boss = User.objects.create_superuser('boss', password={PASSWORD!r}); "
            "client.force_login(boss); "
            "print(client.cookies['sessionid'].value)"
        ).strip()

    def shell(self, statement):
        """Run a statement in the system; what it printed."""
        return self.stack.manage("shell", "--no-imports", "-c", statement)


def start_web(stack, port=None, name="web"):
    """uvicorn as `manage.py up` starts it, but with more patience for open streams than any
    test has: a stream that does not end by itself shows."""
    port = port or free_port()
    command = (
        *(sys.executable, "-m", "uvicorn", "ansf_platform.asgi:application"),
        *("--host", "127.0.0.1", "--port", str(port), "--lifespan", "off"),
        *("--timeout-graceful-shutdown", "300", "--no-access-log", "--log-level", "warning"),
    )
    launch = Launch(command, env=stack.environment, cwd=ROOT)
    process = spawn_logged(launch, stack.log(name))
    stack.processes[name] = process
    site = Site(stack, port, name)
    answers = wait_until(lambda: http_answers(f"{site.url}/livez"), START_DEADLINE_S)
    assert answers, stack.log(name).read_text()
    return site


@pytest.fixture(scope="session")
def system(tmp_path_factory, migrated_file):
    """Database, broker and rows, without a process of ours."""
    directory = tmp_path_factory.mktemp("site")
    migrated_file(directory / "ansf.sqlite3")
    extra = {"ANSF_HANDLERS": "benchmarks.handlers", "ANSF_FLOWER_URL": "http://127.0.0.1:5555/"}
    try:
        with Stack("embedded", directory, extra) as stack:
            stack.manage("collectstatic", "--noinput", "--verbosity=0")
            declaration = directory / "swarms.yaml"
            declaration.write_text(DECLARATION)
            stack.manage("swarm", "apply", str(declaration))
            yield stack
    except BinaryMissing as absent:
        if os.environ.get("CI") == "true":
            pytest.fail(str(absent))
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def site(system):
    """The whole system: web, coordinator, watch, a worker of each pool."""
    found = start_web(system)
    system.coordinator()
    system.start("watch", "watch")
    system.worker("io", 8)
    system.worker("cpu", 1)
    return found


@pytest.fixture(scope="session")
def session_key(site):
    """The session of somebody who has signed in."""
    return site.sign_in()


@pytest.fixture(scope="session")
def storage_state(session_key):
    """The same for a browser."""
    cookie = {"name": "sessionid", "value": session_key, "domain": "127.0.0.1", "path": "/"}
    return {"cookies": [cookie], "origins": []}


class DatabaseAndWeb(Stack):
    """A system of a PostgreSQL database and web processes: nothing runs there."""

    def __init__(self, directory, url, broker):
        super().__init__("full", directory)
        self.url = url
        self.broker = self.valkey = broker

    @property
    def database_url(self):
        return self.url


@pytest.fixture(scope="session")
def site_on_postgres(migrated_postgres, valkey, tmp_path_factory):
    """A web process on PostgreSQL."""
    directory = tmp_path_factory.mktemp("postgres-site")
    stack = DatabaseAndWeb(directory, migrated_postgres("pages"), valkey)
    stack.manage("collectstatic", "--noinput", "--verbosity=0")
    yield start_web(stack)
    stack.stop_processes()


@pytest.fixture
def second_site(site):
    """Another web process of the same system, to be stopped; same sessions, other port."""
    found = start_web(site.stack, name="second-web")
    yield found
    site.stack.processes.pop(found.name).stop(deadline_s=10.0)


@dataclass
class Complaints:
    """What the browser had to say against a page."""

    console: list[str] = field(default_factory=list)

    def listen_to(self, page):
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.console.append(f"exception: {error}"))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error("
            "'CSP: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile))"
        )

    def _heard(self, message):
        if message.type in {"error", "warning"}:
            self.console.append(f"{message.type}: {message.text}")


@pytest.fixture
def complaints(page):
    found = Complaints()
    found.listen_to(page)
    return found
