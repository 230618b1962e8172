#!/usr/bin/env python
"""ANSF's command line: every command of every package, by name."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from ansf_platform.env import EnvironmentInvalid

_USAGE = 2  # the exit code of what was asked wrongly; see ansf_platform.terminal

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ansf_platform.settings")
    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EnvironmentInvalid) as error:
        # The settings could not be read, so no command of ours has begun that could say so.
        sys.stderr.write(f"{' '.join(sys.argv[1:2]) or 'manage.py'}: {error}\n")
        sys.exit(_USAGE)
