from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.core import upstream_errors
from gateway.errors import GatewayError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: upstream_errors.bad_status("edge:1", "/v1/completions", 503),
            "edge:1 answered /v1/completions with status 503",
        ),
        (
            lambda: upstream_errors.not_a_chat_completion("edge:1", "choices", "a text"),
            "edge:1 sent something that is not a chat completion: choices is a text",
        ),
        (
            lambda: upstream_errors.first_token_timeout("edge:1", 2.50),
            "edge:1 sent no first token within 2.5 s",
        ),
        (lambda: upstream_errors.idle_timeout("edge:1", 30.0), "edge:1 sent nothing for 30 s"),
        (
            lambda: upstream_errors.deadline_exceeded("the answer began"),
            "the deadline in x-tierflow-deadline-ms passed before the answer began",
        ),
        (
            lambda: upstream_errors.prompt_too_long("rill-edge", 9, 8),
            "the prompt has 9 tokens; rill-edge has room for 8 tokens, at least one of them for "
            "the answer",
        ),
    ],
)
def test_a_message_is_a_sentence_for_the_caller(
    build: Callable[[], GatewayError], message: str
) -> None:
    error = build()
    assert error.message == message
    assert error.code
