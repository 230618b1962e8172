"""``manage.py prepare``: tables, static files and the first administrator."""

from __future__ import annotations

from typing import Any

from ansf_platform import env
from ansf_platform.first_run.rows import ADMIN, prepare
from ansf_platform.terminal import Command as TerminalCommand


class Command(TerminalCommand):
    """What `up` does before it starts anything, for those who start the parts themselves."""

    help = (
        "Apply migrations, collect static files (DEBUG off) and create the user admin if there is "
        "no administrator yet. ANSF_ADMIN_PASSWORD gives the password; without it one is drawn "
        "and printed, this once."
    )

    def act(self, options: dict[str, Any]) -> None:
        given = env.text("ANSF_ADMIN_PASSWORD")
        prepared = prepare(given)
        drawn = None if given else prepared.password
        if self.screen.as_json:
            self.screen.json({"user": ADMIN, "password": drawn})
        elif drawn:
            self.screen.line(f"created {ADMIN} with the password {drawn} (not shown again)")
        else:
            self.screen.line("ready")
