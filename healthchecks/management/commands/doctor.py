"""``manage.py doctor``: look at everything once and say how to mend what is wrong."""

from __future__ import annotations

from typing import Any

from ansf_platform import terminal
from ansf_platform.screen import STYLES
from ansf_platform.terminal import Exit
from healthchecks import doctor
from healthchecks.environment import Finding
from healthchecks.monitor import State

MARKS = {State.OK: "✓", State.DEGRADED: "!", State.FAILED: "✗"}


class Command(terminal.Command):
    """Exit code 0 when all is well, 3 when something is degraded or failed."""

    help = "Look at the environment and at every health check once; say how to mend what is wrong."

    def act(self, options: dict[str, Any]) -> None:
        findings: list[Finding] = []
        with self.screen.progress("looking", doctor.count()) as done:
            for finding in doctor.examine():
                findings.append(finding)
                done(len(findings))
        verdict = doctor.verdict(findings)
        if self.screen.as_json:
            self.screen.json({"state": verdict, "findings": findings})
        else:
            self._show(findings)
        if verdict is not State.OK:
            raise SystemExit(int(Exit.THRESHOLD))

    def _show(self, findings: list[Finding]) -> None:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = MARKS[finding.state] if self.screen.live else f"{finding.state.value:<8}"
            fix = f" → {finding.fix}" if finding.fix else ""
            line = f"{mark} {finding.name:<{width}}  {finding.message}{fix}"
            self.screen.line(line, STYLES[finding.state.value])
        bad = sum(finding.state is not State.OK for finding in findings)
        self.screen.note(f"{bad} of {len(findings)} need a look" if bad else "all is well")
