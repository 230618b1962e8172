"""Why a call was not answered: what is wrong, in the words and numbers that OpenAI's API uses.

Nothing is charged and nothing cached for a call that ended in one of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.providers.call import Reply


class GatewayError(Exception):
    """A call that was not answered; the message says what, why, and what to do."""

    status = 500
    kind = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code
        self.retry_after = retry_after
        """Seconds after which it may pass; None: nobody knows, or never."""


class Refused(GatewayError):
    """The request cannot be done as it is."""

    status = 400
    kind = "invalid_request_error"


class ContextTooLong(Refused):
    """The prompt has no room in the model."""

    code = "context_length_exceeded"


class TooLarge(Refused):
    """The request has more bytes than are read."""

    status = 413
    code = "request_too_large"


class Unauthorised(GatewayError):
    """No usable token came with the request."""

    status = 401
    kind = "authentication_error"
    code = "invalid_api_key"


class Forbidden(GatewayError):
    """The token may not call models."""

    status = 403
    kind = "permission_error"
    code = "insufficient_scope"


class ModelUnknown(Refused):
    """No enabled model of that name exists for the tenant."""

    status = 404
    code = "model_not_found"


class LimitReached(GatewayError):
    """A limit is reached; `violated` names it."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(
        self, message: str, *, violated: Iterable[str] = (), retry_after: float | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.violated = tuple(violated)


class BudgetExhausted(GatewayError):
    """A budget has no room for the call."""

    status = 429
    kind = "insufficient_quota"
    code = "insufficient_quota"


class NoModel(GatewayError):
    """No model can take the call now: all are refused, failing or busy."""

    status = 503
    kind = "server_error"
    code = "no_model_available"


class ProviderFailed(GatewayError):
    """One provider did not answer, or answered with an error."""

    status = 503
    kind = "server_error"
    code = "provider_failed"
    counts = True
    """Whether it says something about the provider's health."""
    begun = False
    """A part of the answer was passed on: nobody else can give the rest."""


class ProviderLimited(ProviderFailed):
    """The provider refuses more calls for now."""

    status = 429
    kind = "rate_limit_error"
    code = "provider_rate_limited"
    counts = False


class ProviderRefused(ProviderFailed):
    """The provider finds fault with the request itself: another attempt changes nothing."""

    status = 400
    kind = "invalid_request_error"
    code = "provider_refused"
    counts = False


class KeyMissing(ProviderFailed):
    """The environment variable that holds a provider's key is not set, or the key is refused."""

    code = "provider_key_missing"
    counts = False


class Unavailable(ProviderFailed):
    """The provider is not asked at the moment: its breaker is open, or all its slots are taken."""

    code = "provider_unavailable"
    counts = False


class Interrupted(Exception):
    """Whoever asked went away; `reply` is what had been said by then, if anything."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__("whoever asked went away")
        self.reply = reply
