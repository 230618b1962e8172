"""Who does not compute does not load the kernels, and the encoders are the kernels' own."""

from __future__ import annotations

import os
import subprocess
import sys

from kernels import embedding
from patterns import encoders
from patterns.models import Namespace
from tests.architecture.sources import ROOT


def test_a_command_that_only_reads_rows_loads_no_compiler():
    program = "import sys, django; django.setup(); print('numba' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "ansf_platform.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


def test_the_encoders_are_those_of_the_kernels():
    assert dict(encoders.DIMENSIONS) == dict.fromkeys(embedding.ENCODERS, embedding.DIMENSIONS)
    assert set(Namespace.Encoder.values) == {"", *embedding.ENCODERS}
