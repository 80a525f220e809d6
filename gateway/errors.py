"""The errors that the gateway raises on purpose; `api.error_handlers` gives them HTTP statuses.

GatewayError
├── ConfigError            settings that can't work; the command line exits with 2
├── InvalidRequest         the caller's body or header is wrong
│   ├── UnknownModel
│   ├── UnknownDevice
│   └── BodyTooLarge
├── NoEndpoint             nothing healthy can take the request now
├── Overloaded             something healthy could, but every place is taken
├── DeadlineExceeded       the caller's own deadline passed before the first byte
├── ClientStalled          the caller stopped reading its answer
├── StateLost              the store that the replicas share can't be reached
├── EmbeddingFailed        no vector for a text could be made
├── Conflict               the request contradicts another one: an idempotency key, a device
├── Denied                 the caller is not who may do this
├── QuotaExceeded          the caller has asked for as much as it may for now
├── Unauthenticated        the caller has not shown who it is
├── TooManyAttempts        the caller guesses, or asks too often
├── TooFewMembers          a collective has fewer members than its quorum, and may not degrade
└── UpstreamError          an engine failed while it held the request
    ├── ConnectFailed
    ├── FirstTokenTimeout
    ├── IdleTimeout
    └── EngineFailed       it answered with a server error
"""


class GatewayError(Exception):
    """Carries a message that is safe to show to the caller: it never quotes a prompt. `code` tells
    a program what is wrong, `param` names the field or header that is."""

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class ConfigError(GatewayError):
    """Names the setting, what is wrong with it and what would be right. No caller sees it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="internal_error")


class InvalidRequest(GatewayError):
    pass


class UnknownModel(InvalidRequest):
    pass


class UnknownDevice(InvalidRequest):
    pass


class BodyTooLarge(InvalidRequest):
    pass


class RetryLater(GatewayError):
    """`retry_after` is in seconds, a hint for the caller."""

    def __init__(self, message: str, *, retry_after: float, code: str) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class NoEndpoint(RetryLater):
    pass


class Overloaded(RetryLater):
    pass


class DeadlineExceeded(GatewayError):
    pass


class ClientStalled(GatewayError):
    pass


class StateLost(RetryLater):
    pass


class TooManyAttempts(RetryLater):
    pass


class TooFewMembers(RetryLater):
    pass


class QuotaExceeded(RetryLater):
    pass


class EmbeddingFailed(GatewayError):
    pass


class Conflict(GatewayError):
    pass


class Denied(GatewayError):
    pass


class Unauthenticated(GatewayError):
    pass


class UpstreamError(GatewayError):
    """`endpoint` is the id of the replica that failed."""

    def __init__(self, message: str, *, endpoint: str, code: str) -> None:
        super().__init__(message, code=code)
        self.endpoint = endpoint


class ConnectFailed(UpstreamError):
    pass


class FirstTokenTimeout(UpstreamError):
    pass


class IdleTimeout(UpstreamError):
    pass


class EngineFailed(UpstreamError):
    pass


def error_place(error: BaseException) -> str:
    """File and line where an error that nobody foresaw arose. It stands in logs in place of the
    error's message, which could quote a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
