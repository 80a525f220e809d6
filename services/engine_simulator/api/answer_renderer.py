"""What chat and text completions are written with alike: their chunks, bodies and usage."""

from typing import Any

from services.engine_simulator.api import identity
from services.engine_simulator.api.exchange import DONE, event
from services.engine_simulator.api.schema import StreamOptions


class AnswerRenderer:
    """The part of an answer's renderer that does not depend on what a choice looks like.

    `prompt_tokens` counts those of all prompts, `choices` the choices of the whole answer;
    `body_kind` and `chunk_kind` name the API's two objects.
    """

    def __init__(
        self,
        *,
        request_id: str,
        model: str,
        body_kind: str,
        chunk_kind: str,
        options: StreamOptions | None,
        prompt_tokens: int,
        choices: int,
    ) -> None:
        self._id = request_id
        self._model = model
        self._created = identity.now()
        self._body_kind = body_kind
        self._chunk_kind = chunk_kind
        self._options = options or StreamOptions()
        self._prompt_tokens = prompt_tokens
        self._counts = [0] * choices

    def closing(self) -> bytes:
        if not self._options.include_usage:
            return DONE
        chunk = self._chunk([])
        chunk["usage"] = identity.usage(self._prompt_tokens, sum(self._counts))
        chunk["system_fingerprint"] = identity.FINGERPRINT
        return event(chunk) + DONE

    def _token_event(
        self, entry: dict[str, Any], *, last: bool, prompt_tokens: int, completion_tokens: int
    ) -> bytes:
        """One chunk with one choice's next token; the counts are those of this choice."""
        chunk = self._chunk([entry])
        if last and not self._options.include_usage:
            chunk["system_fingerprint"] = identity.FINGERPRINT
        self._add_running_usage(chunk, prompt_tokens, completion_tokens)
        return event(chunk)

    def _add_running_usage(
        self, chunk: dict[str, Any], prompt_tokens: int, completion_tokens: int
    ) -> None:
        if self._options.include_usage and self._options.continuous_usage_stats:
            chunk["usage"] = identity.continuous_usage(prompt_tokens, completion_tokens)

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return self._object(self._chunk_kind, choices)

    def _answer(self, choices: list[dict[str, Any]], completion_tokens: int) -> dict[str, Any]:
        """The body up to its usage, in vLLM's order of fields."""
        return {
            **self._object(self._body_kind, choices),
            "service_tier": None,
            "system_fingerprint": identity.FINGERPRINT,
            "usage": identity.detailed_usage(self._prompt_tokens, completion_tokens),
        }

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }
