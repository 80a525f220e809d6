"""Do the members of the family share their tokenizer? Asked of the running engines."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson

from gateway.adapters.engine_client import AiohttpModelServer
from gateway.core.types import EndpointState
from gateway.errors import EngineFailed

# Every printable ASCII character, words, digits, white space, several scripts, control characters:
# tokenizers that agree on all of it and differ elsewhere would have to be made for that.
PROBE = (
    "".join(chr(code) for code in range(32, 127))
    + "\n\tThe quick brown fox jumps over 13 lazy dogs, 1234567890 times; don't ask why.\n"
    + "def f(x):\n    return x ** 2  # naïve\n"
    + "Zażółć gęślą jaźń — Ärger, œuvre, Привет мир, 你好,世界, こんにちは, 🙂🚀 \u0000\u007f"
)


class TokenizerCheck:
    """Compares fingerprints over the family, by behaviour: the ids that a probe text gets.

    A member whose fingerprint differs from that of the member seen first is refused. Engines
    without /tokenize can't be checked; `unchecked` names their models.
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
        self.unchecked: set[str] = set()

    async def check(self, state: EndpointState) -> None:
        """Raises EngineFailed, naming both fingerprints, when the endpoint's tokenizer differs."""
        model = next(iter(state.models))
        if model not in self._family:
            return
        fingerprint = await self._fingerprint(state, model)
        if fingerprint is None:
            self.unchecked.add(model)
            return
        self.unchecked.discard(model)
        if self._reference is None:
            self._reference = (model, fingerprint)
        reference, expected = self._reference
        if fingerprint != expected:
            raise EngineFailed(
                f"refused: the tokenizer of {model} (fingerprint {fingerprint}) differs from that "
                f"of {reference} (fingerprint {expected}); a family must share one",
                endpoint=state.endpoint.id,
                code="tokenizer_differs",
            )

    async def _fingerprint(self, state: EndpointState, model: str) -> str | None:
        status, body = await self._client.post(
            state.endpoint,
            "/tokenize",
            self._timeout_s,
            {"model": model, "prompt": PROBE, "add_special_tokens": False},
        )
        if status != 200:
            return None
        tokens = orjson.loads(body)["tokens"]
        return hashlib.sha256(orjson.dumps(tokens)).hexdigest()[:16]
