"""Answers with and without a predicted text, in turn, and what their times come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from loadtest.measure.chat import PATH, chat_body
from loadtest.measure.http_client import post
from loadtest.measure.repetitions import ratio
from loadtest.measure.statistics import Spread, paired
from loadtest.prediction.workload import predicted_text
from loadtest.speculation.client import Client
from loadtest.speculation.token_streams import TokenStream

MAX_TOKENS = 384
LEAST_TOKENS = 80
"""Of an answer by which it is measured."""
TARGET = "gateway"
Way = float | None
"""The share of the predicted text that is kept; None: nothing is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuestion:
    """A question, its answer without a prediction, and a text for each share."""

    text: str
    answer: TokenStream
    predicted: Mapping[float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """All questions once, in one way: seconds and tokens after the first of each answer, the draft
    tokens that came true by the usage, and answers that were others than without a prediction."""

    seconds: float
    tokens: int
    mismatches: int

    @property
    def tpot(self) -> float:
        return self.seconds / self.tokens


def request(model: str, question: str, predicted: str | None = None) -> bytes:
    """A streamed chat question, answered greedily."""
    given = {} if predicted is None else {"prediction": {"type": "content", "content": predicted}}
    body = chat_body(
        model, question, max_tokens=MAX_TOKENS, stream=True, return_token_ids=True, **given
    )
    return post(PATH, body)


async def choose_questions(
    client: Client, model: str, drawn: Callable[[], str], count: int, shares: Sequence[float]
) -> list[EditQuestion]:
    """The first `count` drawn questions whose answers are long enough, with their texts."""
    chosen: list[EditQuestion] = []
    rng = Random(5)
    for _ in range(8 * count):
        if len(chosen) == count:
            break
        text = drawn()
        answer = await client.ask(TARGET, request(model, text))
        # One that is cut off goes round in circles, which a text predicts by itself.
        if answer.count >= LEAST_TOKENS and answer.finish_reason == "stop":
            texts = {share: predicted_text(answer.text, share, rng) for share in shares}
            chosen.append(EditQuestion(text=text, answer=answer, predicted=texts))
    return chosen


async def measure_pass(
    client: Client, model: str, questions: Sequence[EditQuestion], way: Way
) -> Pass:
    seconds, tokens, mismatches = 0.0, 0, 0
    for question in questions:
        predicted = None if way is None else question.predicted[way]
        answer = await client.ask(TARGET, request(model, question.text, predicted))
        first, last = answer.chunks[0], answer.chunks[-1]
        seconds += last[0] - first[0]
        tokens += answer.count - len(first[1])
        mismatches += answer.ids != question.answer.ids
    return Pass(seconds=seconds, tokens=tokens, mismatches=mismatches)


def speed_up(passes: Sequence[Pass], plain: Sequence[Pass]) -> Spread:
    """How many times faster than `plain` each token comes, repetition by repetition."""
    return paired([one.tpot for one in plain], [one.tpot for one in passes], combine=ratio)
