"""The errors that the gateway raises on purpose; `api.error_handlers` gives them HTTP statuses.

GatewayError
├── ConfigError            settings that can't work; the command line exits with 2
├── InvalidRequest         the caller's body or header is wrong
│   ├── UnknownModel
│   ├── UnknownDevice
│   ├── UnknownKey
│   ├── UnknownStream
│   ├── UnknownResponse
│   ├── BodyTooLarge
│   └── EncodedBody
├── RetryLater             it may pass: the caller may try again
│   ├── NoEndpoint         nothing healthy can take the request now
│   ├── Overloaded         something healthy could, but every place is taken
│   ├── Draining           the gateway is about to stop
│   ├── StateLost          the store that the replicas share can't be reached
│   ├── TooManyAttempts    the caller guesses, or asks too often
│   ├── TooFewMembers      a collective has fewer members than its quorum, and may not degrade
│   └── QuotaExceeded      the caller has asked for as much as it may for now
│       ├── RequestRateExceeded
│       ├── TokenRateExceeded
│       └── QuotaSpent     of the day
├── DeadlineExceeded       the caller's own deadline passed before the first byte
├── ClientStalled          the caller stopped reading its answer
├── StreamGone             what the caller missed of a stream can't be had any more
├── EmbeddingFailed        no vector for a text could be made
├── Conflict               the request contradicts another one: an idempotency key, a device
├── Denied                 the caller is not who may do this
│   └── OutOfScope         the caller's key is not for this
├── Unauthenticated        the caller has not shown who it is
│   └── InvalidKey         it shows no key, or one that is not good
└── UpstreamError          an engine failed while it held the request
    ├── ConnectFailed
    │   └── ConnectTimeout
    ├── StaleConnection    a kept connection had ended
    ├── EndpointLost       the request was moved away from an endpoint that does not answer
    ├── FirstTokenTimeout
    ├── IdleTimeout
    ├── EngineBusy         it asks to be left alone for a while
    ├── EngineRefused      it refuses the request, and another engine is asked whether it agrees
    │   └── RouteNotServed it does not have the route
    └── EngineFailed       it answered with a server error
"""


class GatewayError(Exception):
    """An error that the gateway raises on purpose. `message` is safe to show to anybody: it never
    quotes a prompt. `code` tells a program what is wrong, `param` names the field or header that
    is. `reason` are the engine's own words, for the caller alone, as they may quote its prompt."""

    reason = ""

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class ConfigError(GatewayError):
    """A setting that can't work. The message names it, what is wrong with it and what would be
    right; no caller sees it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="internal_error")


class InvalidRequest(GatewayError):
    """A wrong body, parameter or header of the caller's."""


class UnknownModel(InvalidRequest):
    """A model that no pool serves."""


class UnknownDevice(InvalidRequest):
    """A device that is not known, or not connected."""


class UnknownKey(InvalidRequest):
    """A caller's key that there is not."""


class UnknownStream(InvalidRequest):
    """A resumable stream that was never made, has been forgotten, or is another caller's."""


class UnknownResponse(InvalidRequest):
    """A stored response that no endpoint has."""


class BodyTooLarge(InvalidRequest):
    """A body that is larger than the limit."""


class EncodedBody(InvalidRequest):
    """A body that would have to be unpacked before it is read, and may grow without bound."""


class RetryLater(GatewayError):
    """An error that may pass. `retry_after` is in seconds, a hint for the caller."""

    def __init__(self, message: str, *, retry_after: float, code: str) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class NoEndpoint(RetryLater):
    """A request that nothing healthy can take now."""


class Overloaded(RetryLater):
    """A request for which every place is taken."""


class Draining(RetryLater):
    """A request that comes too late to a gateway that stops, or has not ended when it stops."""


class DeadlineExceeded(GatewayError):
    """A request whose own deadline passed before its answer began."""


class ClientStalled(GatewayError):
    """A caller that has stopped reading its answer."""


class StateLost(RetryLater):
    """A store that the replicas share and that can't be reached, or can't take the value."""


class StreamGone(GatewayError):
    """A resumable stream that a caller comes back to and that can't be given whole any more."""


class TooManyAttempts(RetryLater):
    """A caller that has been wrong, or has asked, too often."""


class TooFewMembers(RetryLater):
    """A collective with fewer members than its quorum."""


class QuotaExceeded(RetryLater):
    """A caller that has used up its quota for now."""


class RequestRateExceeded(QuotaExceeded):
    """A key with as many requests in flight, or in a minute, as it may have."""


class TokenRateExceeded(QuotaExceeded):
    """A key that has used as many tokens as it may in a minute."""


class QuotaSpent(QuotaExceeded):
    """A key that has used as many tokens as it may in a day."""


class EmbeddingFailed(GatewayError):
    """A text for which no vector could be made."""


class Conflict(GatewayError):
    """A request that contradicts another one."""


class Denied(GatewayError):
    """A caller who is known and may not do this."""


class OutOfScope(Denied):
    """A key that is not for what its caller asks."""


class Unauthenticated(GatewayError):
    """A caller who has not shown who it is."""


class InvalidKey(Unauthenticated):
    """A caller without a key, or with one that is unknown, revoked or expired."""


class UpstreamError(GatewayError):
    """An engine that failed while it held the request. `endpoint` is the id of the replica.

    `certain`: any other request would have failed there as well, so the failure says nothing about
    this one. `retry_after`: the seconds after which the engine wants to be asked again, where it
    has said so.
    """

    def __init__(
        self,
        message: str,
        *,
        endpoint: str,
        code: str,
        certain: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.endpoint = endpoint
        self.certain = certain
        self.retry_after = retry_after


class ConnectFailed(UpstreamError):
    """An engine that refused the connection, so that it never got the request."""


class ConnectTimeout(ConnectFailed):
    """An engine that did not accept a connection in time. Once is no proof that it is gone."""


class StaleConnection(UpstreamError):
    """A kept connection that ended before the first byte of the answer. Most often the engine had
    closed it at this very moment and never read the request."""


class EndpointLost(UpstreamError):
    """An endpoint that a waiting request was moved away from, as it does not answer."""


class FirstTokenTimeout(UpstreamError):
    """An engine that did not begin its answer in time."""


class IdleTimeout(UpstreamError):
    """An engine that stopped sending in the middle of its answer."""


class EngineBusy(UpstreamError):
    """An engine that takes no more requests for a while (429)."""


class EngineRefused(UpstreamError):
    """An engine that refuses a request in a way that may be its own fault. No caller sees it."""


class RouteNotServed(EngineRefused):
    """An engine does not have the route, or its model can't do what the route is for."""


class EngineFailed(UpstreamError):
    """An engine that failed with a server error, a broken connection or an unreadable answer."""


def error_place(error: BaseException) -> str:
    """File and line where an error that nobody foresaw arose. It stands in logs in place of the
    error's message, which could quote a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
