"""Where this server connects to on behalf of others: only to addresses they may reach.

A health check or a fetched page is a request that somebody else makes this server send. So a name
is resolved once, each address is judged, and the connection goes to exactly that address: a name
that changes between the judgement and the connection gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All that is given out so far. Outside lie a network's own translations of private IPv4.
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


class AddressRefused(PermissionError):
    """A name leads to an address that its asker may not reach."""


class TooLate(TimeoutError):
    """The time for an answer is over."""


def is_public(address: IPAddress) -> bool:
    """Whether an address is reachable by everybody, seen through IPv6 wrappings of IPv4."""
    inner = _unwrapped(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner not in GLOBAL_UNICAST:
        return False
    return inner.is_global and not inner.is_multicast


def _unwrapped(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def resolve(host: str, port: int, *, private: bool, until: float) -> list[str]:
    """The addresses of a host, all of them allowed. `until` is a time of the monotonic clock.

    Raises AddressRefused when one of them is not public and `private` is false, TooLate, and
    OSError when the name is unknown.
    """
    found = [ipaddress.ip_address(text) for text in _lookup(host, port, until)]
    refused = [address for address in found if not (private or is_public(address))]
    if refused:
        raise AddressRefused(f"{host} leads to {refused[0]}, which is not a public address")
    return [str(address) for address in found]


def _lookup(host: str, port: int, until: float) -> list[str]:
    """`getaddrinfo` with a deadline: the C library's own may be half a minute away."""
    answers: list[str] = []
    errors: list[OSError] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label the codec cannot encode
            errors.append(OSError(f"the name {host} cannot be resolved: {error}"))
        else:
            answers.extend(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows))

    thread = threading.Thread(target=ask, name=f"resolve {host}", daemon=True)
    thread.start()
    thread.join(remaining(until))
    if errors:
        raise errors[0]
    if not answers:
        raise TooLate(f"the name {host} was not resolved in time")
    return answers


def remaining(until: float) -> float:
    """Seconds left. Raises TooLate when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TooLate("no answer in time")
    return left


def connect(addresses: list[str], port: int, until: float) -> socket.socket:
    """A connection to the first address that accepts one. Raises OSError of the last."""
    problem: OSError = OSError("the name has no address")
    for place, address in enumerate(addresses):
        share = remaining(until) / (len(addresses) - place)  # one dead address spends not all
        try:
            return socket.create_connection((address, port), timeout=share)
        except OSError as error:
            problem = error
    raise problem


@contextmanager
def closed_at(connection: socket.socket, until: float) -> Iterator[None]:
    """Shut the connection down when its time is over, whatever it is doing.

    A peer that sends one byte now and then would never run into a timeout of single reads.
    """
    late = threading.Event()
    handle = connection.dup()  # TLS takes the socket over; a second handle stays ours

    def shut() -> None:
        late.set()
        try:
            handle.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was closed already
            return

    timer = threading.Timer(remaining(until), shut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise TooLate("no complete answer in time") from error
        raise
    finally:
        timer.cancel()
        timer.join()
        handle.close()
    if late.is_set():
        raise TooLate("no complete answer in time")
