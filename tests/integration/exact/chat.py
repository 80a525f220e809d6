"""Chat questions to the gateway or to a device's agent, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.model_family.dataset import evaluation_set
from tests.integration.exact.drafting_fleet import DraftingFleet

TOKENS = 48
"""An answer's length at most."""

http = httpx.Client(trust_env=False, timeout=120)
DEVICE_CLOUD = "tierflow-device-cloud"
DEVICE_EDGE_CLOUD = "tierflow-device-edge-cloud"
WINDOW = "x-tierflow-draft-window"


@dataclass
class DraftedReply:
    """`about` is what the agent tells of the answer; `by` who made each token, where marked."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    reason: str | None = None
    prompt_tokens: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    by: list[str] = field(default_factory=list)

    @property
    def unchanged(self) -> tuple[str, list[int], str | None, int]:
        """All that drafts must not change."""
        return self.text, self.ids, self.reason, self.prompt_tokens

    def add(self, chunk: dict[str, Any]) -> None:
        """Add a chunk, or a whole answer."""
        assert "error" not in chunk, chunk
        self.prompt_tokens = (chunk.get("usage") or {}).get("prompt_tokens", self.prompt_tokens)
        about = dict(chunk.get("tierflow", {}))
        self.by += about.pop("by", [])
        self.about |= about
        for choice in chunk["choices"]:
            message = choice.get("message") or choice.get("delta") or {}
            self.text += message.get("content") or ""
            self.ids += choice.get("token_ids") or []
            self.reason = choice["finish_reason"] or self.reason


def questions(count: int) -> list[str]:
    """Held-out ones, the tasks in turn."""
    return [example.prompt for example in evaluation_set(count)]


def ask(
    url: str,
    model: str,
    question: str,
    stream: bool = True,
    window: str = "auto",
    heard: Callable[[DraftedReply], None] = lambda reply: None,
    **sampling: Any,
) -> DraftedReply:
    """`heard` is called with what there is so far, after each chunk."""
    body = {"messages": [{"role": "user", "content": question}], "max_tokens": TOKENS}
    body |= {"model": model, "temperature": 0, "return_token_ids": True, **sampling}
    path, headers, reply = url + "/v1/chat/completions", {WINDOW: window}, DraftedReply()
    if not stream:
        answer = http.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        reply.add(answer.json())
        return reply
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    headers["x-tierflow-marks"] = "1"
    with http.stream("POST", path, json=body, headers=headers) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                reply.add(json.loads(line[6:]))
                heard(reply)
    return reply


def server_only(fleet: DraftingFleet, question: str, **sampling: Any) -> DraftedReply:
    """The same engine's answer through the gateway, without drafts."""
    return ask(fleet.gateway.url, "rill-cloud", question, **sampling)


def together(fleet: DraftingFleet, agent: int, question: str, **how: Any) -> DraftedReply:
    """What the device and the cloud answer together."""
    return ask(fleet.agents[agent].url, DEVICE_CLOUD, question, **how)
