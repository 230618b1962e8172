"""The kernels agree with the libraries that people trust, where the definitions agree."""

from __future__ import annotations

import pytest

from tests.oracle.__main__ import AGREEMENTS
from tests.oracle.agreement import compare, present

# Together: importing and compiling the peers takes most of it.
pytestmark = [pytest.mark.slow, pytest.mark.no_cover]


@pytest.mark.parametrize("agreement", AGREEMENTS, ids=lambda a: f"{a.kernel}-{a.peer}-{a.series}")
def test_a_kernel_agrees_with_its_peer(agreement):
    if not present(agreement):
        pytest.skip(f"{agreement.peer} is not installed")
    compared = compare(agreement)

    assert compared.holds, (compared.ours, compared.theirs)
