"""Any OpenAI-compatible engine on the device: vLLM or TensorRT Edge-LLM on a Jetson, llama-server.

The engine keeps its own prefix cache: the whole text is sent each time, and little of it computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from services.device_agent.drafters.port import Chooser, DrafterFailed, Guess
from services.device_agent.drafters.step_time import StepTime

TIMEOUT_S = 30.0


class EngineDrafter:
    """A drafter that asks an engine. `url` is the engine's base without /v1.

    `model` None: the first model that it serves. Raises DrafterFailed when the engine fails.
    """

    def __init__(self, url: str, model: str | None, context: int) -> None:
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=TIMEOUT_S, trust_env=False)
        self.name = model or self._first_model()
        self.context = context
        self.least_burst = 4
        self.in_place = False
        self.one_context = False
        self._step_time = StepTime(0.02)

    @property
    def step_s(self) -> float:
        return self._step_time.seconds

    def start(self) -> EngineStream:
        return EngineStream(self, self._step_time)

    def close(self) -> None:
        self._client.close()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Raises DrafterFailed."""
        try:
            answer = self._client.post(path, json=body) if body else self._client.get(path)
        except httpx.HTTPError as exc:
            problem = f"{self._client.base_url}{path}: {type(exc).__name__}"
            raise DrafterFailed(f"the drafting engine does not answer: {problem}") from exc
        if answer.status_code != 200:
            raise DrafterFailed(f"the drafting engine answered {answer.status_code} to {path}")
        try:
            return answer.json()
        except ValueError as exc:
            raise DrafterFailed(f"the drafting engine's answer to {path} is not JSON") from exc

    def _first_model(self) -> str:
        models = self.ask("/v1/models")["data"]
        if not models:
            raise DrafterFailed("the drafting engine serves no model")
        return str(models[0]["id"])


class EngineStream:
    """A stream of EngineDrafter; `cached` is what the engine is taken to have kept."""

    def __init__(self, drafter: EngineDrafter, step_time: StepTime) -> None:
        self._drafter = drafter
        self._step_time = step_time
        self.cached = 0

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        count = min(count, self._drafter.context - len(text))
        if count < 1 or not text:
            return []
        body: dict[str, Any] = {
            "model": self._drafter.name,
            "prompt": list(text),
            "max_tokens": count,
            "temperature": 0,
            "logprobs": 1,
            "return_token_ids": True,
        }
        if chooser is not None:
            body |= {"temperature": chooser.temperature, "top_p": chooser.top_p}
            body |= {"top_k": chooser.top_k} if chooser.top_k > 0 else {}
            body |= {"seed": chooser.seed} if chooser.seed is not None else {}
        started = time.perf_counter()
        try:
            guesses = _guesses(self._drafter.ask("/v1/completions", body)["choices"][0])
        except (KeyError, IndexError, TypeError) as exc:
            raise DrafterFailed("the drafting engine's answer is not a completion") from exc
        self.cached = len(text)
        self._step_time.add(time.perf_counter() - started, max(1, len(guesses)))
        for number, guess in enumerate(guesses):
            if stop(guess):
                return guesses[: number + 1]
        return guesses

    def close(self) -> None:
        """Nothing to do: the engine drops its cache by itself."""


def _guesses(choice: dict[str, Any]) -> list[Guess]:
    ids = choice.get("token_ids")
    if ids is None:
        raise DrafterFailed("the drafting engine returns no token_ids; use one that does, as vLLM")
    logprobs = (choice.get("logprobs") or {}).get("token_logprobs") or [None] * len(ids)
    return [
        Guess(int(token), math.exp(logprob) if logprob is not None else 0.5)
        for token, logprob in zip(ids, logprobs, strict=False)
    ]
