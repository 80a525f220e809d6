"""What one request came to: filled in while it runs, handed to telemetry when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.access.quota import CHARS_PER_TOKEN
from gateway.core.streams.usage import Usage
from gateway.core.types import InferenceRequest

PREDICTION_USED = "used"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The account of one request, from its arrival to its end. Times are in seconds on the
    gateway's clock, None where the request didn't get that far. `longest_pause_s`: the longest
    between two pieces of a stream.

    `kind` is one of: ok, client_error (4xx), cancelled (the caller left), internal_error (one that
    nobody foresaw), and the codes of our own errors. `error` is the error that ended the request
    before its answer began. `status` is the one that was sent with the answer, 0 before that.
    `opened` is when the last attempt was sent, `decode_s_per_token` what its endpoint then took for
    a token,
    `queue_s` the wait for admission and for an endpoint to come up. `resumptions`: how often
    another endpoint went on with a stream whose engine broke. `prediction` says what became of a
    predicted text, "" where there was none; of its tokens `prediction_accepted` came where they
    were predicted, and `prediction_rejected` did not. `lookup_accepted`: tokens that
    came as they stand in the prompt, where that drafted.
    """

    request: InferenceRequest
    kind: str = "ok"
    error: type[BaseException] | None = None
    status: int = 0
    model: str = ""
    tier: str = "none"
    endpoint: str = ""
    reason: str = "none"
    attempts: int = 0
    queue_s: float = 0.0
    opened: float | None = None
    first_byte: float | None = None
    last_byte: float | None = None
    finished: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int = 0
    decode_s_per_token: float | None = None
    longest_pause_s: float = 0.0
    resumptions: int = 0
    prediction: str = ""
    prediction_accepted: int = 0
    prediction_rejected: int = 0
    lookup_accepted: int = 0

    def note_usage(self, usage: Usage | None) -> None:
        """The engine's own counts, in place of those made on the way; what it does not tell
        stays."""
        if usage is not None:
            self.prompt_tokens = usage.prompt_tokens or self.prompt_tokens
            self.completion_tokens = usage.completion_tokens or self.completion_tokens

    @property
    def prediction_details(self) -> Mapping[str, int]:
        """What the usage tells of a predicted text; nothing where none was used."""
        if self.prediction != PREDICTION_USED:
            return {}
        return {
            "accepted_prediction_tokens": self.prediction_accepted,
            "rejected_prediction_tokens": self.prediction_rejected,
        }

    @property
    def used_tokens(self) -> int:
        """What the engine had to read and make: its own counts, or what can be told without."""
        prompt = self.prompt_tokens
        if prompt is None:
            prompt = self.request.prompt_chars // CHARS_PER_TOKEN
        return prompt + (self.completion_tokens or self._unseen_tokens)

    @property
    def _unseen_tokens(self) -> int:
        """About what the engine had made of an answer in one piece when its caller left."""
        request, opened, per_token = self.request, self.opened, self.decode_s_per_token
        if self.kind != "cancelled" or request.stream or opened is None or not per_token:
            return 0
        made = int(max(0.0, self.finished - opened) / per_token)
        return request.answers * (
            made if request.max_tokens is None else min(made, request.max_tokens)
        )

    @property
    def ttft_s(self) -> float | None:
        """Time to first token, from the request's arrival; None for answers in one piece."""
        if self.first_byte is None or not self.request.stream:
            return None
        return self.first_byte - self.request.received

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first; None below two tokens."""
        first, last = self.first_byte, self.last_byte
        if first is None or last is None or not self.request.stream or self.completion_tokens < 2:
            return None
        return (last - first) / (self.completion_tokens - 1)
