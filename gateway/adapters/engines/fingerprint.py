"""Do the members of the family share their tokenizer, and can they chat? Asked of the running
engines."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway.adapters.engines.client import AiohttpModelServer
from gateway.core.types import EndpointState
from gateway.core.upstream_errors import check_failed
from gateway.errors import EngineFailed
from gateway.protocol.paths import TOKENIZE
from gateway.protocol.tokenizer import PROBE, fingerprint

GREETING = [{"role": "user", "content": "Hi"}]
"""What every template of a chat model can write."""


class TokenizerCheck:
    """The check that the family shares one tokenizer. It compares fingerprints by behaviour: the
    ids that a probe text gets.

    A member whose fingerprint differs from that of the member seen first is refused, as long as
    one that has that member's is there. Engines without a /tokenize of vLLM's kind can't be
    checked; `unchecked` names their models. `without_template` names the members whose engines
    have no chat template: they refuse every chat.
    """

    def __init__(
        self,
        family: Sequence[str],
        client: AiohttpModelServer,
        timeout_s: float,
    ) -> None:
        self._family = family
        self._client = client
        self._timeout_s = timeout_s
        self._reference: tuple[str, str] | None = None
        self._agreeing: set[str] = set()
        self._unchecked: dict[str, str] = {}
        self._without_template: dict[str, str] = {}

    @property
    def unchecked(self) -> set[str]:
        return set(self._unchecked.values())

    @property
    def without_template(self) -> set[str]:
        return set(self._without_template.values())

    def forget(self, state: EndpointState) -> None:
        """It has left; with the last one that agreed, what they agreed on is open again."""
        self._unchecked.pop(state.endpoint.id, None)
        self._without_template.pop(state.endpoint.id, None)
        self._agreeing.discard(state.endpoint.id)
        if not self._agreeing:
            self._reference = None

    async def check(self, state: EndpointState) -> None:
        """Note the endpoint's fingerprint; compare it if its model is of the family.

        Raises EngineFailed, naming both fingerprints, when the endpoint's tokenizer differs.
        """
        model = next(iter(state.models))
        actual = state.tokenizer = await self._fingerprint(state, model)
        if model not in self._family:
            # Devices want to know it; nothing else depends on it.
            return
        if actual is None:
            self._unchecked[state.endpoint.id] = model
            return
        self._unchecked.pop(state.endpoint.id, None)
        await self._check_template(state, model)
        if self._reference is None:
            self._reference = (model, actual)
        reference, expected = self._reference
        if actual != expected:
            raise check_failed(
                state.endpoint.id,
                f"refused: the tokenizer of {model} (fingerprint {actual}) differs from that "
                f"of {reference} (fingerprint {expected}); a family must share one",
                "tokenizer_differs",
            )
        self._agreeing.add(state.endpoint.id)

    async def _fingerprint(self, state: EndpointState, model: str) -> str | None:
        """None where the engine gives no token ids for the probe, whatever it does instead. One
        that does not answer has the fingerprint that it had."""
        try:
            status, body = await self._client.post(
                state.endpoint,
                TOKENIZE,
                self._timeout_s,
                {"model": model, "prompt": PROBE, "add_special_tokens": False},
            )
        except EngineFailed:
            return state.tokenizer
        return fingerprint(ids) if status == 200 and (ids := _token_ids(body)) else None

    async def _check_template(self, state: EndpointState, model: str) -> None:
        """An engine that gives token ids for a text and refuses a plain message has no template.
        One that does not answer is what it was."""
        try:
            status, _ = await self._client.post(
                state.endpoint, TOKENIZE, self._timeout_s, {"model": model, "messages": GREETING}
            )
        except EngineFailed:
            return
        if status == 400:
            self._without_template[state.endpoint.id] = model
        else:
            self._without_template.pop(state.endpoint.id, None)


def _token_ids(body: bytes) -> list[int] | None:
    """None where the answer is of another dialect than vLLM's."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    ids = answer.get("tokens") if isinstance(answer, dict) else None
    if isinstance(ids, list) and all(type(id) is int for id in ids):
        return ids
    return None
