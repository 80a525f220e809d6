"""Asks the gateway as an application does, with the official client, also while an engine dies."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from openai import APIError, OpenAI

QUESTION = "Add 417 and 325 digit by digit."
ANSWER = "742"


@dataclass
class Outcome:
    """One streamed answer. Times are those of `time.monotonic`, in seconds."""

    begun: float
    tier: str = ""
    arrivals: list[float] = field(default_factory=list)
    text: str = ""
    error: str = ""

    @property
    def right(self) -> bool:
        return not self.error and self.text.endswith(ANSWER)


def ask(client: OpenAI, model: str) -> Outcome:
    """Streams one answer; an error that the API reports ends up in the outcome."""
    outcome = Outcome(time.monotonic())
    try:
        answer = client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        outcome.tier = answer.headers["x-tierflow-tier"]
        with answer.parse() as stream:
            for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    outcome.arrivals.append(time.monotonic())
                    outcome.text += text
    except APIError as error:
        outcome.error = str(error.code or type(error).__name__)
    return outcome


class RepeatingClient:
    """Asks one question after the other in a thread, until stopped."""

    def __init__(self, client: OpenAI, model: str) -> None:
        self.client, self.model = client, model
        self.outcomes: list[Outcome] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> RepeatingClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.outcomes.append(ask(self.client, self.model))

    def begun_after(self, moment: float) -> list[Outcome]:
        """Those that are over and were begun after `moment`."""
        return [outcome for outcome in self.outcomes if outcome.begun > moment]
