"""A process killed while it adds: what it had answered is there, in rows and in the index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dj_database_url
import numpy as np
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command

from ansf_platform.accounts.models import Tenant
from patterns import memory
from patterns.index import views
from patterns.models import Namespace, Pattern
from tests.databases import pointed_at

pytestmark = [pytest.mark.fault, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
KILLS = 2
ADDER = """
import sys, json
import django
django.setup()
import numpy as np
from patterns import memory
from patterns.index import views
from patterns.models import Namespace

views.SEAL_ROWS = 64  # so that kills fall into the writing of segments, too
shapes = Namespace.objects.get(slug="shapes")
random = np.random.default_rng(int(sys.argv[1]))
while True:
    vectors = random.normal(size=(8, 16)).astype(np.float32)
    added = memory.add_many(shapes, [memory.NewPattern(vector) for vector in vectors])
    for one, vector in zip(added, vectors):
        print(json.dumps([one.id, one.merged, vector.tolist()]))
    sys.stdout.flush()
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    """A database that a process can be started on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rows.sqlite3'}"
    return request.getfixturevalue("postgres").create_database(f"kill_{os.getpid()}")


def config_of(url):
    config = dj_database_url.parse(url)
    if url.startswith("sqlite"):
        config["OPTIONS"] = django_settings.SQLITE_OPTIONS
    return config


def killed_while_adding(url, state_dir, number):
    """Start a process that adds, kill it in the middle of something; what it had answered."""
    environment = {
        **os.environ, "DATABASE_URL": url, "ANSF_STATE_DIR": str(state_dir), "DEBUG": "1",
        "DJANGO_SETTINGS_MODULE": "ansf_platform.settings", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", ADDER, str(number)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    answered = []
    with process:
        for line in process.stdout:
            answered.append(json.loads(line))
            if len(answered) == 100 + 37 * number:
                os.kill(process.pid, signal.SIGKILL)
                break
        # What had been written into the pipe was answered before the kill.
        answered += [json.loads(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    return answered


@pytest.mark.timeout(240)
def test_nothing_that_was_answered_is_lost(url, state_dir, django_db_blocker):
    with django_db_blocker.unblock(), pointed_at(config_of(url)):
        call_command("migrate", verbosity=0)
        tenant, _ = Tenant.objects.get_or_create(slug="default", defaults={"name": "Default"})
        shapes = Namespace.objects.create(tenant=tenant, slug="shapes", dimension=16)
        answered = []

        for number in range(KILLS):
            answered += killed_while_adding(url, state_dir, number)

        ids = {one[0] for one in answered}
        assert len(ids) >= 100 * KILLS
        assert set(Pattern.objects.values_list("pk", flat=True)) >= ids
        for _ in ("with what they left on the disk", "from the rows alone"):
            views.forget_all()
            vectors = np.array([one[2] for one in answered], np.float32)
            for start in range(0, len(answered), 500):
                part = slice(start, start + 500)
                found = memory.search_many(shapes, vectors[part], 1)
                assert [hits[0].id for hits in found] == [one[0] for one in answered[part]]
            views.drop(shapes)
        told = memory.stats(shapes)
        assert told.patterns == Pattern.objects.filter(removed=False).count()
        assert told.seen >= len(answered)
