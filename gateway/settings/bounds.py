"""What bounds a request: how long it waits, how often it is tried again, how large it may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from gateway.settings.group import Group, Unit
from gateway.settings.values import Seconds


class Timeouts(Group):
    """The longest waits for engines and callers."""

    connect_s: Seconds = Field(default=2.0, gt=0, description="The wait for a new connection.")
    first_token_s: Seconds = Field(
        default=60.0, gt=0, description="The wait for the first bytes of a stream."
    )
    idle_s: Seconds = Field(
        default=30.0,
        gt=0,
        description="The wait between two pieces of a stream, and for a caller that stops reading.",
    )
    answer_s: Seconds = Field(
        default=600.0, gt=0, description="The wait for an answer that is not streamed."
    )
    body_s: Seconds = Field(
        default=30.0,
        gt=0,
        description="The wait for the caller's whole body; a large one may take longer, see "
        "`body_bytes_per_s`.",
    )
    body_bytes_per_s: Annotated[float, Unit("bytes per second")] = Field(
        default=65_536.0,
        gt=0,
        description="What has come of a body at this rate adds to `body_s`: callers on slow links "
        "may send large ones.",
    )
    usual_factor: Annotated[float, Unit("times")] = Field(
        default=5.0,
        ge=0,
        description="An endpoint that has sent nothing to anybody for so many times the longest "
        "wait that is usual there counts as stuck, and requests that wait there for their first "
        "token move to another one. The other timeouts are never exceeded. 0: only they hold.",
    )
    usual_floor_s: Seconds = Field(
        default=3.0, gt=0, description="The least silence for which an endpoint counts as stuck."
    )


class Ejection(Group):
    """Outlier ejection: an endpoint whose requests fail gets none for a while; see
    docs/gateway.md."""

    consecutive_failures: Annotated[int, Unit("failures")] = Field(
        default=3,
        ge=1,
        description="Failed requests in a row after which an endpoint is ejected.",
    )
    failure_share: Annotated[float, Unit("share")] = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The share of failed requests from which on an endpoint is ejected.",
    )
    min_requests: Annotated[int, Unit("requests")] = Field(
        default=10, ge=1, description="Requests within the window below which no share counts."
    )
    window_s: Seconds = Field(
        default=10.0,
        gt=0,
        description="The time after which a request counts for 1/e in the share.",
    )
    first_pause_s: Seconds = Field(
        default=2.0,
        gt=0,
        description="The longest first pause; each further one is up to twice as long.",
    )
    longest_pause_s: Seconds = Field(
        default=60.0,
        gt=0,
        description="The longest pause. An endpoint that has been well for as long begins anew.",
    )
    slow_start_s: Seconds = Field(
        default=10.0,
        ge=0,
        description="The time over which an endpoint that returns gets its full share of the "
        "requests.",
    )


class Scrape(Group):
    """The regular look at each engine's health, models and load."""

    interval_s: Seconds = Field(default=1.0, gt=0, description="The time between two looks.")
    timeout_s: Seconds = Field(default=5.0, gt=0, description="The wait for one look.")
    failures: Annotated[int, Unit("failures")] = Field(
        default=3,
        ge=1,
        description="Failed looks in a row until an endpoint gets no requests. One that refuses "
        "connections gets none at once.",
    )


class RequestLimits(Group):
    """Limits of requests, and of the gateway's admission."""

    max_body_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="The size of a request's body."
    )
    max_composed_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="The same for the virtual models whose answers the gateway composes of "
        "others', and all of whose bodies it reads.",
    )
    max_composed_chars: int = Field(
        default=512 * 1024,
        ge=1024,
        description="The characters of a body for such a model, without pictures and the like.",
    )
    max_bodies_bytes: int | None = Field(
        default=None,
        ge=1024,
        description="The bodies of all requests in memory at once, and a sixteenth more for "
        "callers with small ones. A request whose body finds no room gets 429: where it is full, "
        "one of the caller that holds most. Default: 256 MiB, or less where the process may have "
        "little memory: a quarter of what it may have beyond 128 MiB.",
    )
    max_answers: Annotated[int, Unit("answers")] = Field(
        default=128, ge=1, description="The answers to one request: `n` and `best_of`."
    )
    max_answer_tokens: int = Field(
        default=1_048_576, ge=1, description="The tokens of an answer that a request may ask for."
    )
    max_logprobs: Annotated[int, Unit("tokens")] = Field(
        default=100, ge=0, description="The likely tokens for each position that it may ask for."
    )
    max_prompts: Annotated[int, Unit("prompts")] = Field(
        default=2048, ge=1, description="The prompts, or inputs, of one request."
    )
    max_prompt_chars: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        description="The text of a request's prompts; a token id counts as four characters.",
    )
    max_stops: Annotated[int, Unit("texts")] = Field(
        default=16, ge=1, description="The texts in `stop`."
    )
    max_list_items: Annotated[int, Unit("items")] = Field(
        default=1024, ge=1, description="The items of `logit_bias`, `stop_token_ids`, `bad_words`."
    )
    max_tools: Annotated[int, Unit("tools")] = Field(
        default=512, ge=1, description="The tools of a request."
    )
    max_choices: Annotated[int, Unit("choices")] = Field(
        default=1024, ge=1, description="The choices of a structured output."
    )
    max_schema_bytes: int = Field(
        default=65_536,
        ge=1024,
        description="The schema, grammar or regular expression of a structured output, which an "
        "engine compiles before it answers.",
    )
    max_media: Annotated[int, Unit("URLs")] = Field(
        default=64, ge=0, description="The pictures, sounds and films of a request."
    )
    media_hosts: tuple[str, ...] = Field(
        default=(),
        description="The only hosts that URLs of pictures and the like may name, or `.example.com` "
        "for those below. Default: all public ones; never private addresses.",
    )
    media_lookup: bool = Field(
        default=True,
        description="Whether the hosts that URLs name are looked up, and refused where they lead "
        "to private addresses. Only without `media_hosts`.",
    )
    min_engine_priority: Annotated[int, Unit("priority")] = Field(
        default=0,
        description="The least that a request's own `priority` may be. An engine that schedules by "
        "priority serves the lowest first, whoever asks.",
    )
    engine_transfers: bool = Field(
        default=False,
        description="Whether callers may send `kv_transfer_params` and `ec_transfer_params`, which "
        "name the machines that an engine reads caches from.",
    )
    max_fields: Annotated[int, Unit("fields")] = Field(
        default=16_384,
        ge=1024,
        description="The lists, objects and fields of objects in one body beyond 64 KiB.",
    )
    max_items: Annotated[int, Unit("items")] = Field(
        default=131_072,
        ge=1024,
        description="The items of all lists and objects in one body beyond 64 KiB; a long list of "
        "numbers, such as token ids, does not count.",
    )
    max_outline_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=128 * 1024,
        description="The size of one body without the inside of its long strings (16 KiB and "
        "more) and of its long lists of numbers.",
    )
    max_in_flight: Annotated[int, Unit("requests")] = Field(
        default=4096, ge=1, description="Requests inside the gateway at once."
    )
    max_queue: Annotated[int, Unit("requests")] = Field(
        default=1024,
        ge=0,
        description="Requests that wait for admission at once, and those that wait for a pool.",
    )
    max_wait_s: Seconds = Field(default=10.0, gt=0, description="The longest wait for admission.")

    @field_validator("media_hosts")
    @classmethod
    def _lower_case(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not host.strip(".") or set(host) & set("/:@*"):
                raise ValueError(f"{host!r} is no host, such as example.com or .example.com")
        return tuple(host.lower() for host in hosts)

    @model_validator(mode="after")
    def _room_for_one(self) -> RequestLimits:
        if self.max_bodies_bytes is not None and self.max_bodies_bytes < self.max_body_bytes:
            raise ValueError(
                f"max_bodies_bytes: has no room for one body of max_body_bytes "
                f"({self.max_body_bytes}); raise it, or lower max_body_bytes"
            )
        return self


class Retries(Group):
    """The budget of retries."""

    max_attempts: Annotated[int, Unit("attempts")] = Field(
        default=3, ge=1, description="Attempts of one request that reach an engine."
    )
    ratio: Annotated[float, Unit("share")] = Field(
        default=0.2, ge=0, le=1, description="Retries as a share of all requests, in the long run."
    )
