"""Who asks: the token that came with a request."""

from __future__ import annotations

from dataclasses import dataclass

from ansf_platform.accounts import tokens
from gateway.errors import Forbidden, Unauthorised
from gateway.threads import surviving

SCOPE = "gateway:call"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token came with a request."""

    tenant: str
    token: str


def caller_of(authorization: str) -> Caller:
    """Whose token it is. Raises Unauthorised and Forbidden."""
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorised(
            "no API key was sent: pass a token of yours with the scope gateway:call as the key"
        )
    bearer = surviving(tokens.bearer_of, secret.strip())
    if bearer is None:
        raise Unauthorised("the token is unknown, expired or revoked: create another")
    if not bearer.tenant_enabled:
        raise Forbidden(f"tenant {bearer.tenant!r} is disabled")
    if SCOPE not in bearer.scopes:
        raise Forbidden(f"the token lacks the scope {SCOPE}: create one that has it")
    return Caller(str(bearer.tenant_id), str(bearer.token_id))
