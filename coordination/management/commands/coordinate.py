"""``manage.py coordinate``: one replica of the coordinator."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ansf_platform.celery import BrokerUnreachable, app, probe_profile, use_profile
from coordination.coordinator import Coordinator, bound_sessions


class Command(BaseCommand):
    """Dispatch tasks, judge leases, fire schedules; any number of replicas, one leads."""

    help = __doc__ or ""
    requires_system_checks = []  # they would load every page and every address

    def add_arguments(self, parser: CommandParser) -> None:
        """How long to wait for the broker at the start."""
        parser.add_argument(
            "--patience", type=float, default=60.0, metavar="SECONDS", help="wait for the broker"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        if not settings.BROKER_URL:
            raise CommandError("BROKER_URL is not set: set it, or run `manage.py up`", returncode=2)
        try:
            profile = probe_profile(settings.BROKER_URL, patience=options["patience"])
        except BrokerUnreachable as error:
            raise CommandError(str(error), returncode=75) from error
        use_profile(app, profile)
        bound_sessions()
        coordinator = Coordinator(profile)

        def stop(_number: int, _frame: FrameType | None) -> None:
            coordinator.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stderr.write(f"coordinator {coordinator.holder} on {profile.name}")
        if not coordinator.run():
            raise CommandError("a loop crashed: see the log above", returncode=1)
