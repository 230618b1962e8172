"""What a fetched URL may not lead to, however it is written."""

from __future__ import annotations

import ipaddress

import pytest

from ansf_platform.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        "::7f00:1",  # IPv4-compatible
        "::ffff:0:7f00:1",  # IPv4-translated
        "64:ff9b:1::a00:1",  # a network's own NAT64
        "fec0::1",  # site-local
        "5f00::1",  # segment routing
    ],
)
def test_ipv6_outside_global_unicast_is_refused(address):
    assert not is_public(ipaddress.ip_address(address))


def test_ordinary_ipv6_is_public():
    assert is_public(ipaddress.ip_address("2606:4700::1111"))
