"""``manage.py up``: the whole system on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from ansf_platform.first_run import banner
from ansf_platform.first_run.processes import System
from ansf_platform.first_run.running import Interrupted, RunningSystem
from ansf_platform.first_run.servers import choose_servers
from ansf_platform.first_run.wishes import (
    FLOWER_PORT,
    IO_SLOTS,
    WEB_PORT,
    Refused,
    Wishes,
    cores,
    refuse_contradictions,
)
from ansf_platform.services.errors import ServiceError
from ansf_platform.services.ports import choose_port
from ansf_platform.supervisor import RunFile
from ansf_platform.terminal import Command as TerminalCommand
from ansf_platform.terminal import Failure

_HIGHEST_PORT = 65_535
_MOST_SLOTS = 1000


class Command(TerminalCommand):
    """Starts what the environment does not name; the first signal stops all in order."""

    help = (
        "Run the whole system on this machine: web, coordinator, health checks, both worker pools "
        "and Flower, with an embedded Valkey and SQLite for what DATABASE_URL, BROKER_URL and "
        "REDIS_URL do not name. Ctrl-C stops everything in order (exit code 0), a second one at "
        "once."
    )
    refusals = (Refused,)

    def declare(self, parser: CommandParser) -> None:
        """Ports, slots, servers."""
        port = _whole("a port", 1, _HIGHEST_PORT)
        slots = _whole("a number of slots", 1, _MOST_SLOTS)
        parser.add_argument("--port", type=port, default=WEB_PORT, help="of the pages (8053)")
        parser.add_argument("--flower-port", type=port, default=FLOWER_PORT, help="(5555)")
        parser.add_argument("--no-flower", action="store_true", help="do without Flower")
        parser.add_argument("--cpu", type=slots, metavar="N", help="processes (default: cores)")
        parser.add_argument("--io", type=slots, metavar="N", default=IO_SLOTS, help="threads (16)")
        parser.add_argument(
            "--broker",
            choices=("embedded", "rabbitmq"),
            default="embedded",
            help="rabbitmq: a private node from the installed server, kept in .ansf",
        )
        parser.add_argument(
            "--database",
            choices=("sqlite", "postgres"),
            default="sqlite",
            help="postgres: a private cluster from the installed server, kept in .ansf",
        )
        parser.add_argument("--open", action="store_true", help="show the first page in a browser")

    def act(self, options: dict[str, Any]) -> None:
        refuse_contradictions(options["broker"], options["database"])
        state_dir = Path(settings.STATE_DIR).resolve()
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with RunFile(state_dir, "up").claim() as run_file:
                wishes = self._wishes(state_dir, options)
                self._run(System(wishes, choose_servers(wishes)), run_file, options)
        except Interrupted:
            return
        except ServiceError as error:
            raise Failure(error) from error

    def _wishes(self, state_dir: Path, options: dict[str, Any]) -> Wishes:
        flower = None
        if not options["no_flower"]:
            flower = self._port("Flower", options["flower_port"], "--flower-port")
        return Wishes(
            state_dir=state_dir,
            web_port=self._port("the pages", options["port"], "--port"),
            flower_port=flower,
            cpu=options["cpu"] or cores(),
            io=options["io"],
            broker=options["broker"],
            database=options["database"],
        )

    def _port(self, purpose: str, wanted: int, option: str) -> int:
        chosen = choose_port(wanted)
        if chosen != wanted:
            self.screen.note(
                f"port {wanted}, meant for {purpose}, is taken: using {chosen} instead "
                f"({option} chooses another)"
            )
        return chosen

    def _run(self, system: System, run_file: RunFile, options: dict[str, Any]) -> None:
        run_file.tell(banner.addresses(system))
        running = RunningSystem(system, sys.stderr)
        with running.started() as prepared:
            if self.screen.as_json:
                self.screen.json({**banner.addresses(system), "password": prepared.password})
            else:
                self.screen.line("\n".join(["", *banner.lines(system, prepared), ""]))
            if options["open"]:
                webbrowser.open(system.url)
            running.run()
        self.screen.note("stopped")


class _whole:  # noqa: N801 - argparse prints the type's name in its errors
    """A whole number within bounds, for argparse."""

    def __init__(self, what: str, lowest: int, highest: int) -> None:
        self._what, self._lowest, self._highest = what, lowest, highest

    def __call__(self, text: str) -> int:
        if text.isascii() and text.isdigit() and self._lowest <= int(text) <= self._highest:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {self._what} from {self._lowest} to {self._highest}"
        )
