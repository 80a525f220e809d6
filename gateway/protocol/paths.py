"""Paths of the engines' API that the gateway relays, with what it has to know of each, and of the
way back to a stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CHAT = "/v1/chat/completions"
CHAT_BATCH = "/v1/chat/completions/batch"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
EMBEDDINGS = "/v1/embeddings"
TOKENIZE = "/tokenize"
DETOKENIZE = "/detokenize"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"
RERANKS = ("/rerank", "/v1/rerank", "/v2/rerank")
SCORES = ("/score", "/v1/score")
POOLING = "/pooling"
CLASSIFY = "/classify"
COHERE_EMBED = "/v2/embed"
COHERE_CHAT = "/cohere/v2/chat"
GENERATIVE_SCORING = "/generative_scoring"
CHAT_RENDER = "/v1/chat/completions/render"
COMPLETIONS_RENDER = "/v1/completions/render"
RESPONSES_RENDER = "/v1/responses/render"
MESSAGES_RENDER = "/v1/messages/render"
"""Rendering gives the tokens of a prompt, as the engine would read them."""

STORED_RESPONSE = "/v1/responses/{response_id}"
CANCEL_RESPONSE = "/v1/responses/{response_id}/cancel"
VERSION = "/version"

STREAMS = "/v1/streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRoute:
    """A route of engines to which a body is sent, as a JSON object or, where it is a `form`, as
    multipart/form-data.

    `prompt` are the fields with the prompt; where several may be, the engine may read one of them,
    and together they are its most. `answer` is the field in which an answer has a list; "": it is
    not looked for. `empty`: that list may be. `model_optional`: the caller may leave the model
    open. `anthropic`: errors are written as Anthropic's API writes them.
    """

    prompt: tuple[str, ...] = ()
    answer: str = ""
    empty: bool = False
    model_optional: bool = False
    form: bool = False
    anthropic: bool = False


_PAIRS = ("text_1", "text_2", "queries", "documents", "items", "data_1", "data_2")
_RERANK = EngineRoute(prompt=("query", "documents"), answer="results", empty=True)
_SCORE = EngineRoute(prompt=_PAIRS, answer="data", empty=True)
_SPEECH = EngineRoute(prompt=("prompt",), form=True)
ROUTES: Mapping[str, EngineRoute] = {
    CHAT: EngineRoute(prompt=("messages",), answer="choices"),
    CHAT_BATCH: EngineRoute(prompt=("messages",), answer="choices"),
    COMPLETIONS: EngineRoute(prompt=("prompt",), answer="choices"),
    RESPONSES: EngineRoute(prompt=("instructions", "input"), answer="output", empty=True),
    MESSAGES: EngineRoute(
        prompt=("system", "messages"), answer="content", empty=True, anthropic=True
    ),
    COUNT_TOKENS: EngineRoute(prompt=("system", "messages"), anthropic=True),
    EMBEDDINGS: EngineRoute(prompt=("messages", "input"), answer="data"),
    POOLING: EngineRoute(prompt=("messages", "input"), answer="data"),
    CLASSIFY: EngineRoute(prompt=("messages", "input"), answer="data"),
    TOKENIZE: EngineRoute(
        prompt=("messages", "prompt"), answer="tokens", empty=True, model_optional=True
    ),
    DETOKENIZE: EngineRoute(model_optional=True),
    COHERE_EMBED: EngineRoute(prompt=("texts", "images", "inputs"), model_optional=True),
    COHERE_CHAT: EngineRoute(prompt=("messages",)),
    GENERATIVE_SCORING: EngineRoute(prompt=("query", "items"), model_optional=True),
    CHAT_RENDER: EngineRoute(prompt=("messages",)),
    COMPLETIONS_RENDER: EngineRoute(prompt=("prompt",)),
    RESPONSES_RENDER: EngineRoute(prompt=("instructions", "input")),
    MESSAGES_RENDER: EngineRoute(prompt=("system", "messages")),
    TRANSCRIPTIONS: _SPEECH,
    TRANSLATIONS: _SPEECH,
    **dict.fromkeys(RERANKS, _RERANK),
    **dict.fromkeys(SCORES, _SCORE),
}
"""By path: the routes with a body."""
OTHER = EngineRoute()

READ_ROUTES: Mapping[str, str] = {
    STORED_RESPONSE: "GET",
    CANCEL_RESPONSE: "POST",
    VERSION: "GET",
}
"""The routes without a body, with the method of each."""
RESPONSE_ID = "[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
_ID = re.compile(RESPONSE_ID)
_STORED = re.compile("/v1/responses/([^/]+)(/cancel)?")


def is_response_id(text: str) -> bool:
    """Whether it may be the id of a stored response, and a part of a path."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ReadRoute:
    """A request to one of the `READ_ROUTES`: its path as the table has it, and the id in it; "":
    none, or one that no engine gives."""

    path: str
    response_id: str = ""


def read_route(method: str, path: str) -> ReadRoute | None:
    """None where this is none of the `READ_ROUTES`. HEAD asks as GET does."""
    if path == VERSION:
        route = ReadRoute(VERSION)
    elif found := _STORED.fullmatch(path):
        path = CANCEL_RESPONSE if found[2] else STORED_RESPONSE
        route = ReadRoute(path, found[1] if is_response_id(found[1]) else "")
    else:
        return None
    return route if READ_ROUTES[route.path] == ("GET" if method == "HEAD" else method) else None


def allowed_methods(path: str, served: Iterable[str]) -> list[str]:
    """The `Allow` of a path, of which these methods are served: HEAD comes with GET, but for a
    stream, and OPTIONS everywhere."""
    methods = {*served, "OPTIONS"}
    if "GET" in methods and not path.startswith(f"{STREAMS}/"):
        methods.add("HEAD")
    return sorted(methods)
