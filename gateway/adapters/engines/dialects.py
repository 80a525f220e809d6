"""What differs between engines that all speak the OpenAI API: how they give the ids of tokens.

Which one an engine speaks is found out when it is first needed, by who says to own its model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.adapters.engines.engine_request import read_small
from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import ModelServer
from gateway.core.streams.chat_answer import token_ids
from gateway.core.types import Endpoint

MODELS = "/v1/models"
MAX_ENDPOINTS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The way of an engine to give token ids for completions.

    `fields` of a request ask for them. `ids` reads those of a choice; it raises KeyError, TypeError
    or ValueError where there are none. `generated` reads from a stream's event how many tokens the
    answer has by now, None where the engine does not say.
    """

    name: str
    fields: Mapping[str, Any]
    ids: Callable[[Mapping[str, Any]], Sequence[int]]
    generated: Callable[[Mapping[str, Any]], int | None]


def _ids_of_vllm(choice: Mapping[str, Any]) -> Sequence[int]:
    return checked_ids(choice["token_ids"] or [])


def _ids_of_llama_cpp(choice: Mapping[str, Any]) -> Sequence[int]:
    logprobs = choice["logprobs"]
    return checked_ids([token["id"] for token in logprobs["content"]] if logprobs else [])


def checked_ids(ids: Any) -> Sequence[int]:
    """Raises ValueError where these are no ids of tokens."""
    if token_ids(ids) != ids:
        raise ValueError("no ids of tokens")
    found: Sequence[int] = ids
    return found


def _generated_by_llama_cpp(event: Mapping[str, Any]) -> int | None:
    """It leaves the ids of a letter's first tokens out of its stream."""
    count = event.get("timings", {}).get("predicted_n")
    return count if isinstance(count, int) else None


VLLM = Dialect(
    name="vllm",
    fields={"return_token_ids": True},
    ids=_ids_of_vllm,
    generated=lambda event: None,
)
LLAMA_CPP = Dialect(
    name="llama.cpp",
    fields={"logprobs": 1, "timings_per_token": True},
    ids=_ids_of_llama_cpp,
    generated=_generated_by_llama_cpp,
)
_BY_OWNER: Mapping[str, Dialect] = {"llamacpp": LLAMA_CPP}


class Dialects:
    """The dialects of the endpoints. An engine that nobody knows is taken to speak vLLM's."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._known = BoundedDict[str, Dialect](MAX_ENDPOINTS)

    async def of(self, endpoint: Endpoint) -> Dialect:
        """Raises UpstreamError."""
        known = self._known.get(endpoint.id)
        if known is None:
            known = self._known[endpoint.id] = await self._find(endpoint)
        return known

    def forget(self, endpoint: Endpoint) -> None:
        """Another engine may stand there now."""
        self._known.pop(endpoint.id, None)

    async def _find(self, endpoint: Endpoint) -> Dialect:
        answer = await self._server.open(endpoint, MODELS, {}, None)
        try:
            owner = orjson.loads(await read_small(answer))["data"][0]["owned_by"]
        except (orjson.JSONDecodeError, IndexError, KeyError, TypeError):
            return VLLM
        finally:
            answer.close()
        return _BY_OWNER.get(owner, VLLM) if isinstance(owner, str) else VLLM
