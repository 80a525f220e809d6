"""The errors of an answer that comes late, broken or not at all: each is built here, once.

The handlers and the engines' adapters raise them, and whatever way a request goes, its caller reads
the same words and gets the same code. A message names the endpoint; it never quotes the engine,
which may repeat the prompt.
"""

from __future__ import annotations

from gateway.errors import (
    ClientStalled,
    ConnectFailed,
    ConnectTimeout,
    DeadlineExceeded,
    EndpointLost,
    EngineBusy,
    EngineFailed,
    EngineRefused,
    FirstTokenTimeout,
    IdleTimeout,
    InvalidRequest,
    RouteNotServed,
    StaleConnection,
)
from gateway.protocol.headers import DEADLINE_MS

DOWN = "endpoint_down"
NO_ROUTE = "route_not_served"


def engine_failed(endpoint: str, what: str, code: str = "engine_error") -> EngineFailed:
    """`what` continues the sentence that begins with the endpoint's id."""
    return EngineFailed(f"{endpoint} {what}", endpoint=endpoint, code=code)


def bad_status(
    endpoint: str,
    path: str,
    status: int,
    *,
    certain: bool = False,
    retry_after: float | None = None,
) -> EngineFailed:
    return EngineFailed(
        f"{endpoint} answered {path} with status {status}",
        endpoint=endpoint,
        code="engine_error",
        certain=certain,
        retry_after=retry_after,
    )


def engine_denied(endpoint: str, path: str, status: int) -> EngineFailed:
    """The engine refuses the gateway's own credentials, which are not the caller's."""
    return EngineFailed(
        f"{endpoint} refused the gateway's own credentials at {path} with status {status}",
        endpoint=endpoint,
        code="engine_denied",
        certain=True,
    )


def engine_busy(endpoint: str, retry_after: float | None) -> EngineBusy:
    return EngineBusy(
        f"{endpoint} takes no more requests for now",
        endpoint=endpoint,
        code="engine_busy",
        certain=True,
        retry_after=retry_after,
    )


def engine_refused(endpoint: str, path: str, status: int) -> EngineRefused:
    """The status is the caller's own fault, if another engine agrees."""
    return EngineRefused(
        f"{endpoint} refused {path} with status {status}", endpoint=endpoint, code="engine_refused"
    )


def no_route(path: str) -> str:
    """What the caller is told where no engine has the route."""
    return f"the engines that serve this model have no route {path}"


def served_nowhere(endpoint: str, path: str) -> RouteNotServed:
    """No engine that was asked has the route, this one the last."""
    return RouteNotServed(no_route(path), endpoint=endpoint, code=NO_ROUTE)


def route_not_served(endpoint: str, path: str) -> RouteNotServed:
    """Another engine may have the route."""
    return RouteNotServed(
        f"{endpoint} has no route {path}", endpoint=endpoint, code="route_not_served"
    )


def no_answer(endpoint: str) -> EngineFailed:
    """A status of 200, and nothing behind it."""
    return engine_failed(endpoint, "answered with status 200 and nothing else")


def connect_failed(endpoint: str) -> ConnectFailed:
    return ConnectFailed(
        f"could not connect to {endpoint}", endpoint=endpoint, code="connect_failed", certain=True
    )


def connect_timeout(endpoint: str, seconds: float) -> ConnectTimeout:
    return ConnectTimeout(
        f"{endpoint} accepted no connection within {seconds:g} s",
        endpoint=endpoint,
        code="connect_timeout",
        certain=True,
    )


def stale_connection(endpoint: str) -> StaleConnection:
    return StaleConnection(
        f"a kept connection to {endpoint} had ended", endpoint=endpoint, code="stale_connection"
    )


def endpoint_down(endpoint: str) -> EndpointLost:
    """It was taken out while a request waited for its first byte."""
    return EndpointLost(
        f"{endpoint} was taken out of use before it answered",
        endpoint=endpoint,
        code=DOWN,
    )


def endpoint_silent(endpoint: str, seconds: float) -> EndpointLost:
    """It has answered nobody for longer than is usual there."""
    return EndpointLost(
        f"{endpoint} has sent nothing to anybody for {seconds:.3g} s",
        endpoint=endpoint,
        code="endpoint_silent",
    )


def connection_broke(endpoint: str, when: str) -> EngineFailed:
    """`when` ends the sentence, such as "while it answered"."""
    return EngineFailed(
        f"the connection to {endpoint} broke {when}", endpoint=endpoint, code="engine_disconnected"
    )


def check_failed(endpoint: str, problem: str, code: str = "unhealthy") -> EngineFailed:
    """A health check failed. `problem` stands beside the endpoint's id in /ready and in logs, so
    it does not repeat it."""
    return EngineFailed(problem, endpoint=endpoint, code=code)


def ended_early(endpoint: str) -> EngineFailed:
    """The connection closed before the stream's [DONE]."""
    return engine_failed(endpoint, "ended its answer early", "engine_disconnected")


def aborted(endpoint: str) -> EngineFailed:
    """The answer's finish reason is `abort` or `error`, or it has none."""
    return engine_failed(endpoint, "aborted its answer", "engine_aborted")


def continuation_refused(endpoint: str) -> EngineFailed:
    """It takes the prompt, but not with what another engine has answered behind it."""
    return engine_failed(endpoint, "refused to go on with an answer that another engine began")


def error_event(endpoint: str) -> EngineFailed:
    """An error stands where the answer, or an event of it, should be."""
    return engine_failed(endpoint, "ended its answer with an error", "error_event")


def unreadable(endpoint: str) -> EngineFailed:
    return engine_failed(endpoint, "sent something that is not a JSON object", "unreadable_answer")


def header_too_long(endpoint: str, limit: int) -> EngineFailed:
    return engine_failed(
        endpoint, f"sent a header line of more than {limit} bytes", "unreadable_answer"
    )


def not_http(endpoint: str) -> EngineFailed:
    return engine_failed(endpoint, "sent something that is not HTTP", "unreadable_answer")


def compressed(endpoint: str) -> EngineFailed:
    """Nobody has asked for it, and callers get the engine's bytes as they are."""
    return engine_failed(
        endpoint,
        "sent a compressed answer; have it, or the proxy before it, send answers as they are",
        "unreadable_answer",
    )


def endless_event(endpoint: str) -> EngineFailed:
    return engine_failed(endpoint, "sent an endless event", "unreadable_answer")


def not_a_chat_completion(endpoint: str, place: str, found: str) -> EngineFailed:
    """`found` says what stands at this place of the body instead, without its words."""
    return engine_failed(
        endpoint,
        f"sent something that is not a chat completion: {place} is {found}",
        "unreadable_answer",
    )


def no_text(endpoint: str) -> EngineFailed:
    """A chat completion whose message has no text at all, such as a tool call."""
    return engine_failed(endpoint, "sent an answer without text")


def empty_answer(endpoint: str) -> EngineFailed:
    """The text is there, but has nothing but blanks."""
    return engine_failed(endpoint, "sent an empty answer", "empty_answer")


def no_likelihood(endpoint: str) -> EngineFailed:
    """The engine does not say how likely it finds an answer that is given to it."""
    return engine_failed(endpoint, "gave no likelihood of a given answer", "no_likelihood")


def first_token_timeout(
    endpoint: str, seconds: float, what: str = "first token"
) -> FirstTokenTimeout:
    return FirstTokenTimeout(
        f"{endpoint} sent no {what} within {seconds:g} s",
        endpoint=endpoint,
        code="first_token_timeout",
    )


def idle_timeout(endpoint: str, seconds: float) -> IdleTimeout:
    return IdleTimeout(
        f"{endpoint} sent nothing for {seconds:g} s", endpoint=endpoint, code="idle_timeout"
    )


def deadline_exceeded(before: str) -> DeadlineExceeded:
    """`before` says what had not happened yet, such as "the answer began"."""
    return DeadlineExceeded(
        f"the deadline in {DEADLINE_MS} passed before {before}",
        param=DEADLINE_MS,
        code="deadline_exceeded",
    )


def prompt_too_long(model: str, prompt_tokens: int, max_model_len: int) -> InvalidRequest:
    return InvalidRequest(
        f"the prompt has {prompt_tokens} tokens; {model} has room for {max_model_len} tokens, "
        "at least one of them for the answer",
        code="prompt_too_long",
    )


def question_too_long(characters: int, max_characters: int) -> InvalidRequest:
    """Too long for a collective, whatever its members' models take."""
    return InvalidRequest(
        f"messages: {characters} characters; every member gets them all, and the limit is "
        f"{max_characters} (collective.max_question_chars)",
        param="messages",
        code="prompt_too_long",
    )


def client_stalled() -> ClientStalled:
    return ClientStalled("the client stopped reading", code="client_stalled")
