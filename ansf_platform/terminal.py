"""What every command of the project has in common.

Data goes to stdout, everything else to stderr; ``--json`` prints one JSON object (one per line
with ``--watch``). An error is one line and an exit code, never a traceback, unless
``--traceback`` asks for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, ClassVar, TextIO, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.base import handle_default_options as use_default_options
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError, connections
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from ansf_platform.screen import Screen, printable


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    THRESHOLD = 3
    TRY_AGAIN = 75
    INTERRUPTED = 130


class Failure(CommandError):
    """The command did not do what was asked; one line says why and what to do next."""

    code: ClassVar[Exit] = Exit.FAILED

    def __init__(self, message: object, code: Exit | None = None) -> None:
        line = " ".join(printable(str(message)).split())
        super().__init__(line, returncode=int(self.code if code is None else code))


class Usage(Failure):
    """What was asked for cannot be: a wrong argument, file or name."""

    code = Exit.USAGE


class Unavailable(Failure):
    """The database, the broker or a lease is away: the same command may work later."""

    code = Exit.TRY_AGAIN


AWAY = (OperationalError, InterfaceError, BrokerError, RedisError, ConnectionError, TimeoutError)


class Command(BaseCommand):
    """A command with one-line errors, the exit codes above, ``--json`` and a screen.

    A command implements :meth:`act`, or declares verbs with :meth:`verbs`. `refusals` are the
    exceptions that mean that the request was wrong.
    """

    requires_system_checks = []  # checking every app takes longer than most commands run
    refusals: ClassVar[tuple[type[Exception], ...]] = ()
    screen: Screen

    def add_common(self, parser: argparse.ArgumentParser, *, verb: bool) -> None:
        """Options that every command and every verb of it takes."""
        # A verb must not overwrite with its default what was given before its name.
        default = argparse.SUPPRESS if verb else False
        parser.add_argument(
            "--json", action="store_true", default=default, help="Print one JSON object."
        )
        if verb:
            for option in ("--traceback", "--no-color", "--force-color"):
                parser.add_argument(
                    option, action="store_true", default=default, help=argparse.SUPPRESS
                )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_common(parser, verb=False)
        self.declare(parser)

    def declare(self, parser: CommandParser) -> None:
        """Add the command's own arguments."""

    def verbs(self, parser: CommandParser) -> Callable[..., argparse.ArgumentParser]:
        """A function that declares a verb: its name, the method that does it, one line."""
        choices = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def verb(name: str, act: Callable[..., None], about: str) -> argparse.ArgumentParser:
            chosen = choices.add_parser(name, help=about, description=about)
            self.add_common(chosen, verb=True)
            chosen.set_defaults(act=act)
            return cast("argparse.ArgumentParser", chosen)

        return verb

    def handle(self, *_args: Any, **options: Any) -> None:
        # Django's wrapper ends each write with a newline, which would tear rich's output apart.
        self.stdout.ending = self.stderr.ending = ""
        self.screen = Screen(
            cast("TextIO", self.stdout),
            cast("TextIO", self.stderr),
            as_json=bool(options.get("json")),
            colour=not options.get("no_color"),
        )
        (options.pop("act", None) or self.act)(options)

    def act(self, options: dict[str, Any]) -> None:
        """Do what the command is for."""
        raise NotImplementedError

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that is hard to undo. Raises :class:`Usage` when not agreed."""
        if yes:
            return
        if self.screen.as_json or not sys.stdin.isatty():
            raise Usage(f"{question} Add --yes to agree; there is no terminal to ask on")
        if self.screen.ask(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
            raise Failure("nothing was changed")

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute(*args, **options)
        except BrokenPipeError:  # `… | head` has read enough
            discard_stdout()
            return None
        except (Exception, KeyboardInterrupt) as error:
            if options.get("traceback") or isinstance(error, CommandError):
                raise
            raise self.explain(error) from error

    def explain(self, error: BaseException) -> CommandError:
        """The line and the exit code for an exception."""
        if isinstance(error, KeyboardInterrupt):
            return Failure("interrupted", Exit.INTERRUPTED)
        if isinstance(error, self.refusals):
            return Usage(error)
        if isinstance(error, ImproperlyConfigured | DataError):
            return Usage(error)
        if isinstance(error, UnicodeEncodeError):
            return Usage(f"{error.object[error.start : error.end]!r} is not text: use UTF-8")
        if isinstance(error, OperationalError | ProgrammingError) and _lacks_tables(error):
            return Failure("the database has no tables yet: run `manage.py migrate` first")
        if isinstance(error, AWAY):
            return Unavailable(f"{error or type(error).__name__}; try again when it is back")
        name = type(error).__name__
        return Failure(f"unexpected {name}: {error}; --traceback shows where it came from")

    def run_from_argv(self, argv: list[str]) -> None:
        wanted = "--traceback" in argv
        try:
            options = self._parse(argv)
            use_default_options(options)
            self.execute(**vars(options))
        except CommandError as error:
            if wanted:
                raise
            self.stderr.style_func = None
            self.stderr.write(f"{argv[1]}: {error}", ending="\n")
            sys.exit(error.returncode)
        finally:
            connections.close_all()

    def _parse(self, argv: list[str]) -> argparse.Namespace:
        for argument in argv:
            if any("\ud800" <= letter <= "\udfff" for letter in argument):
                raise Usage(f"{argument!r} is not UTF-8 text")
        # Django's parser raises, instead of printing its whole usage, when it believes not to
        # be on a command line.
        parser = self.create_parser(argv[0], argv[1])
        try:
            return parser.parse_args(argv[2:])
        except CommandError as error:
            message = str(error).removeprefix("Error: ")
            raise Usage(f"{message}; see `manage.py {argv[1]} --help`") from error


def discard_stdout() -> None:
    """Send what is still buffered nowhere, or the interpreter complains when it flushes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _lacks_tables(error: Exception) -> bool:
    text = str(error)
    return "no such table" in text or ("relation" in text and "does not exist" in text)
