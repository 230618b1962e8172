"""The database made ready: tables, and somebody who can sign in."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections, transaction

from ansf_platform.first_run.processes import System
from ansf_platform.services.errors import StartFailed
from ansf_platform.services.process import Launch, run_to_end

ADMIN = "admin"
_PASSWORD_BYTES = 12
_DEADLINE_S = 180.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rows are ready; `password` is the new administrator's, None if there was one."""

    password: str | None


def prepare(password: str = "") -> Prepared:
    """Apply migrations; create the first administrator, with a drawn password unless one is given.

    Collects static files where the web server may not look for them (DEBUG off).
    """
    call_command("migrate", interactive=False, verbosity=0)
    if not settings.DEBUG:
        call_command("collectstatic", interactive=False, verbosity=0)
    created = create_admin(password or secrets.token_urlsafe(_PASSWORD_BYTES))
    connections.close_all()  # children must not inherit an open SQLite file
    return Prepared(created)


def create_admin(password: str) -> str | None:
    """Create the superuser `admin` unless some superuser exists; the password if created."""
    users = get_user_model()._default_manager  # noqa: SLF001 - the documented way to a swapped model
    with transaction.atomic():
        if users.filter(is_superuser=True).exists():
            return None
        users.create_superuser(ADMIN, password=password)
    return password


def prepare_elsewhere(system: System) -> Prepared:
    """The same in a process of its own, for a database that our settings do not name.

    Raises StartFailed with that process's output.
    """
    env = {**os.environ, **system.environment}
    launch = Launch(system.manage_argv("prepare", "--json"), env, cwd=settings.BASE_DIR)
    code, output = run_to_end(launch, _DEADLINE_S)
    if code != 0:
        raise StartFailed(f"the database could not be prepared:\n{output}")
    told = json.loads(output.strip().splitlines()[-1])
    return Prepared(told["password"])
