"""What can go wrong with a private server, each in words that say what to do next."""

from __future__ import annotations


class ServiceError(RuntimeError):
    """A private server could not do what was asked."""


class BinaryMissing(ServiceError):
    """The server's program is not installed; the message names the package."""

    def __init__(self, server: str, package: str, looked_in: str) -> None:
        super().__init__(
            f"{server} is not installed (looked in {looked_in}). "
            f"Install it: sudo apt-get install {package}",
        )
        self.server = server
        self.package = package


class StartFailed(ServiceError):
    """The server exited or did not answer before its deadline; carries the end of its log."""


class PortTaken(StartFailed):
    """Somebody else listens on the port that the server was to have."""

    def __init__(self, server: str, port: int) -> None:
        super().__init__(
            f"port {port} of 127.0.0.1, meant for {server}, is taken; choose another, or end what "
            f"listens there (to find it: ss -ltnp 'sport = :{port}')",
        )
        self.port = port


class NotRunning(ServiceError):
    """Something was asked of a server that is not running."""


class CommandFailed(ServiceError):
    """A server's own command line tool ended with an error; the message is its output."""
