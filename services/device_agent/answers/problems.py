"""What may keep an answer from being what was asked for: a refusal, or the loss of its verifier."""

from __future__ import annotations

from gateway.protocol.device_link import speculation as wire

ELSEWHERE = frozenset({wire.DRAINING, wire.DRAINED})
"""Codes of errors of a gateway that is about to stop: another one goes on."""

PRIVACY_CLASS = "privacy_class"
"""The code of a refusal because of the request's privacy class."""

PERMANENT = frozenset(
    {
        "bad_open",
        "tokenizer_differs",
        "model_not_found",
        "prompt_too_long",
        "engine_refused",
        PRIVACY_CLASS,
    }
)
"""Codes of errors that another try, or another way to answer, would not mend."""


class RequestRefused(Exception):
    """The request can't be answered as it is, here or elsewhere; `code` tells why. `param`: the
    field at fault, as an engine names it."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class VerifierLost(Exception):
    """The loss of the verifier: no more verified tokens come in this session. `link`: it was the
    connection that was lost, so another session may go on with the answer."""

    def __init__(self, message: str, *, link: bool = False) -> None:
        super().__init__(message)
        self.link = link
