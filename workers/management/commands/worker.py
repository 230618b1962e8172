"""``manage.py worker --pool cpu|io``: one worker process tree."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ansf_platform.celery import POOLS, BrokerUnreachable, app, probe_profile, use_profile
from workers import boot

THREADS = 16  # slots of an io pool unless told otherwise


class Command(BaseCommand):
    """Run a pool of slots: `cpu` processes for kernels, `io` threads for waiting."""

    help = __doc__ or ""
    requires_system_checks = []  # they would load every page and every address

    def add_arguments(self, parser: CommandParser) -> None:
        """Pool, slots, patience."""
        parser.add_argument("--pool", choices=POOLS, required=True)
        parser.add_argument("--concurrency", type=int, help="slots (cpu: cores, io: 16)")
        parser.add_argument("--log-level", default="WARNING")
        parser.add_argument(
            "--patience", type=float, default=60.0, metavar="SECONDS", help="wait for the broker"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM (finishes what runs) or SIGQUIT."""
        boot.settle_environment()
        if not settings.BROKER_URL:
            raise CommandError("BROKER_URL is not set: set it, or run `manage.py up`", returncode=2)
        pool = options["pool"]
        concurrency = options["concurrency"]
        if concurrency is None:
            concurrency = len(os.sched_getaffinity(0)) if pool == "cpu" else THREADS
        if not 1 <= concurrency <= 1000:  # noqa: PLR2004
            raise CommandError("--concurrency must be 1 to 1000", returncode=2)
        try:
            profile = probe_profile(settings.BROKER_URL, patience=options["patience"])
        except BrokerUnreachable as error:
            raise CommandError(str(error), returncode=75) from error
        use_profile(app, profile)
        if pool == "cpu":
            boot.warm_kernels()
        sys.exit(boot.run(pool, concurrency, profile, options["log_level"]))
